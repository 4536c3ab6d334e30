"""The stack for containers: its files without its processes.

    python -m tollhouse.local.prepare files CONFIG DATA      before anything runs
    python -m tollhouse.local.prepare database CONFIG DATA   when PostgreSQL answers

`files` writes what `tollhouse up` would: secrets, policy, registry, configuration of NATS, and one file of
environment variables a service (`env/<service>`). Ports are fixed, since each part is another container that
must know them; all share one loopback, as in a pod.
"""

import shlex
import sys
from pathlib import Path

from tollhouse.config import read_config
from tollhouse.local import journals
from tollhouse.local.child import StartFailed
from tollhouse.local.data import DataFolder
from tollhouse.local.files import write_whole
from tollhouse.local.nats import Nats
from tollhouse.local.service import ServiceProcess
from tollhouse.local.stack import Stack
from tollhouse.problems import DocumentError

PORTS = {"postgres": 5432, "nats": 4222, "opa": 8181, "gateway": 8700, "treasury": 8710, "control": 8720}
NO_BINARY = Path("opa")


def files(stack: Stack, data: DataFolder) -> None:
    """What the containers read."""
    write_whole(data.folder("credentials") / "postgres.password", stack.secrets.superuser)
    for member in stack.members:
        if isinstance(member.server, Nats):
            member.server.configure()
        if isinstance(member.server, ServiceProcess):
            lines = [f"{name}={shlex.quote(value)}\n" for name, value in member.server.variables().items()]
            write_whole(data.folder("env") / member.name, "".join(lines))


def main(step: str, config: str, root: str) -> int:
    """One of the two steps; the exit code."""
    try:
        data = DataFolder.open(Path(root))
        journals.require_usable(data.root)
        stack = Stack.assemble(read_config(Path(config)), data, NO_BINARY, PORTS)
        if step == "database":
            stack.install()
        else:
            files(stack, data)
    except (DocumentError, StartFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:4]))
