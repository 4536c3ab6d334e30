"""The ports of the last start: a second start takes the same ones, as long as they are free.

So an agent's address of the gateway holds over a restart of the stack, though nobody chose it.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from tollhouse.local.child import StartFailed
from tollhouse.local.files import write_whole
from tollhouse.local.ports import free_port, is_free


def choose_ports(path: Path, names: tuple[str, ...], given: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the given one, else the last one, else a free one; StartFailed when taken."""
    last: dict[str, int] = json.loads(path.read_bytes()) if path.exists() else {}
    taken = set(given.values())
    ports: dict[str, int] = {}
    for name in names:
        if name in given:
            ports[name] = _given(name, given[name])
        elif name in last and last[name] not in taken | set(ports.values()) and is_free(last[name]):
            ports[name] = last[name]
        else:
            ports[name] = _fresh(taken | set(ports.values()))
    write_whole(path, json.dumps(ports))
    return ports


def _given(name: str, port: int) -> int:
    if is_free(port):
        return port
    raise StartFailed(
        f"Port {port}, which the file gives {name}, is in use by another program.\n"
        f"Stop that program, or set another {name}.port (without one any free port is taken)."
    )


def _fresh(taken: set[int]) -> int:
    while (port := free_port()) in taken:
        continue
    return port
