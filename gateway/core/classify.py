"""What is being called: every way in becomes one `Call`."""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from schemas.decision import Kind

Content = Literal["none", "json", "opaque"]


@dataclass(frozen=True, slots=True)
class Server:
    """A tool server as the registry knows it. `url` has neither user nor query."""

    name: str
    kind: Literal["http", "mcp"]
    url: str


_NO_ARGUMENTS: Final[dict[str, Any]] = {}


class Call(NamedTuple):
    """One thing that somebody wants done, whatever protocol it came by.

    `tool` is the name within its server: `send_money` over MCP, `POST /v1/items` over HTTP,
    `authorize` for the treasury. `arguments` are parsed once, by `schemas.strict_json`; what is sent
    upstream is the very body that they were parsed from. Nobody writes to them.
    """

    kind: Kind
    server: str
    tool: str
    arguments: dict[str, Any] = _NO_ARGUMENTS
    host: str = ""
    method: str = ""
    path: str = ""
    content: Content = "none"
    workflow_id: str = ""
    session_id: str = ""
    policy_version: str | None = None
    correlation_id: str = ""

    @property
    def name(self) -> str:
        """The action's name, as policy documents write it: `server.tool`."""
        return f"{self.server}.{self.tool}"
