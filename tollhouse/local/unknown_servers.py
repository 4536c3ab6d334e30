"""Tools of a policy whose server `tollhouse.yaml` does not have: an odd thing, and no mistake.

The server may come later. Until then nothing can be called by such a name, which a slip of the pen looks like
too. What needs both files is told here; what a policy alone says oddly is in `tollhouse.policy.warnings`.
"""

from collections.abc import Iterable
from typing import Final

from tollhouse.config import TREASURY, Config
from tollhouse.policy.document import PolicyDocument
from tollhouse.problems import Path, shown
from tollhouse.yaml_reader import read_document

NAMED_MAX: Final = 10


def unknown_servers(config: Config, policy: PolicyDocument) -> list[str]:
    """One warning a server that is not there, at the first tool of it."""
    known = {*config.servers, TREASURY}
    places: dict[str, list[Path]] = {}
    for role, part in policy.roles.items():
        for position, tool in enumerate(part.tools):
            server = server_of(tool.name)
            if server is not None and server not in known:
                places.setdefault(server, []).append(("roles", role, "tools", position))
    if not places:
        return []
    source = read_document(config.policy_path)
    return [
        str(source.problem(found[0], _told(config, server, len(found)))) for server, found in places.items()
    ]


def server_of(tool: str) -> str | None:
    """The server that this tool, or all that this pattern covers, is of; None where it may be any or none."""
    server, point, _ = tool.partition(".")
    return server if point and "*" not in server else None


def _told(config: Config, server: str, tools: int) -> str:
    others = f" ({tools} tools of it are named)" if tools > 1 else ""
    there = f"{config.path.name} has no server {shown(server)}"
    return f"{there}: until it has, nothing can be called by this{others}; {_listed(config.servers)}"


def _listed(servers: Iterable[str]) -> str:
    names = sorted(servers)
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"it has {', '.join(names[:NAMED_MAX])}{more}" if names else "it has none"
