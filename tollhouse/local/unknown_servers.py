"""Tools of a policy that the servers of `tollhouse.yaml` do not have: an odd thing, and no mistake.

The server is not there, or it is of the other kind: tools of an HTTP server are named by method and path,
those of an MCP server are not. The server may come later. Until then nothing can be called by such a name,
which a slip of the pen looks like too. What needs both files is told here; what a policy alone says oddly is
in `tollhouse.policy.warnings`.
"""

from collections.abc import Iterable
from typing import Final

from tollhouse.config import TREASURY, Config
from tollhouse.policy.document import PolicyDocument
from tollhouse.policy.tool_names import is_http, may_be_http
from tollhouse.problems import Path, shown
from tollhouse.yaml_reader import read_document

NAMED_MAX: Final = 10


def unknown_servers(config: Config, policy: PolicyDocument) -> list[str]:
    """One warning a server, at the first tool that it does not have."""
    places: dict[str, list[Path]] = {}
    for role, part in policy.roles.items():
        for position, tool in enumerate(part.tools):
            server = server_of(tool.name)
            if server is not None and not _has(config, server, tool.name.removeprefix(f"{server}.")):
                places.setdefault(server, []).append(("roles", role, "tools", position))
    if not places:
        return []
    source = read_document(config.policy_path)
    return [
        str(source.problem(found[0], _told(config, server, len(found)))) for server, found in places.items()
    ]


def _has(config: Config, server: str, tool: str) -> bool:
    """Whether there is such a server that may have such a tool. No name at all is told elsewhere."""
    if server == TREASURY or not tool:
        return True
    if server not in config.servers:
        return False
    return may_be_http(tool) if config.servers[server].kind == "http" else not is_http(tool)


def server_of(tool: str) -> str | None:
    """The server that this tool, or all that this pattern covers, is of; None where it may be any or none."""
    server, point, _ = tool.partition(".")
    return server if point and "*" not in server else None


def _told(config: Config, server: str, tools: int) -> str:
    others = f" ({tools} tools of it are named)" if tools > 1 else ""
    if server not in config.servers:
        there = f"{config.path.name} has no server {shown(server)}"
        return f"{there}: until it has, nothing can be called by this{others}; {_listed(config.servers)}"
    kind, form = (
        ("an HTTP", f"are named by method and path, such as {server}.GET /path")
        if config.servers[server].kind == "http"
        else ("an MCP", f"have no method and path: {server}.TOOL")
    )
    alike = f" (so are {tools - 1} more)" if tools > 1 else ""
    return f"{server} is {kind} server, whose tools {form}; nothing can be called by this{alike}"


def _listed(servers: Iterable[str]) -> str:
    names = sorted(servers)
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"it has {', '.join(names[:NAMED_MAX])}{more}" if names else "it has none"
