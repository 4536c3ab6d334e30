"""`tollhouse doctor`: what the local stack needs of this machine, asked of the machine itself."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tollhouse.local.child import StartFailed
from tollhouse.local.data import DataFolder
from tollhouse.local.folders import data_folder
from tollhouse.local.nats import nats_binary
from tollhouse.local.opa_binary import VERSION, find_opa, version_of
from tollhouse.local.ports import free_port
from tollhouse.local.postgres import binaries
from tollhouse.local.unprivileged import Unprivileged


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    well: bool
    said: str


def examine() -> int:
    """Print every finding; 0 when all is well."""
    console = Console(highlight=False)
    findings = list(look())
    for finding in findings:
        mark = "[green]ok[/green]  " if finding.well else "[red]wrong[/red]"
        console.print(f"{mark} {finding.what}: ", end="")
        console.print(finding.said, markup=False, soft_wrap=True)
    return 0 if all(finding.well for finding in findings) else 1


def look() -> Iterator[Finding]:
    """Everything that `tollhouse up` relies on."""
    yield Finding("Python", sys.version_info >= (3, 11), f"{sys.version.split()[0]} at {sys.executable}")
    yield _opa()
    yield _asked("PostgreSQL", _postgres)
    yield _asked("NATS", lambda: f"nats-server at {nats_binary()}")
    yield _asked("data folder", _data)
    yield _asked("ports of loopback", lambda: f"{free_port()} and others are free")


def _opa() -> Finding:
    found = find_opa()
    if found:
        version = ".".join(map(str, version_of(found) or ()))
        return Finding("Open Policy Agent", True, f"{version} at {found}")
    if go := shutil.which("go"):
        return Finding("Open Policy Agent", True, f"not here yet; the first start builds {VERSION} with {go}")
    return Finding(
        "Open Policy Agent",
        False,
        f"not here, and no Go to build it. Put opa {VERSION} on PATH, or install Go, "
        "or set TOLLHOUSE_OPA_URL and TOLLHOUSE_OPA_SHA256.",
    )


def _postgres() -> str:
    with tempfile.TemporaryDirectory() as folder:
        identity = Unprivileged.find(Path(folder), binaries())
    how = (
        "a user namespace"
        if identity.prefix
        else f"the user {identity.user}"
        if identity.user
        else "yourself"
    )
    return f"at {binaries()}, runs as {how}"


def _data() -> str:
    folder = Path(os.environ.get("TOLLHOUSE_DATA", "")) if os.environ.get("TOLLHOUSE_DATA") else data_folder()
    return str(DataFolder.open(folder).root)


def _asked(what: str, question: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, question())
    except (StartFailed, OSError) as error:
        return Finding(what, False, str(error))
