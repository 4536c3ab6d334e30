"""A small agent: an MCP client and plain HTTP, both pointed at the gateway.

Nothing in here knows of Tollhouse but two things that any client can set: a URL and a header.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tollhouse.demo.narrator import Answer

TIMEOUT_S = 10.0


class Agent:
    """An agent with its key (or without one)."""

    def __init__(self, gateway: str, key: str | None, bank: Client | None, seen: dict[str, str]) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.AsyncClient(base_url=gateway, headers=headers, timeout=TIMEOUT_S)
        self._bank = bank
        self._seen = seen

    async def use_bank(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool of the bank over MCP."""
        if self._bank is None:
            raise RuntimeError("this agent has no session with the bank")
        try:
            result = await self._bank.call_tool(tool, arguments)
        except MCPError as error:
            data = error.data or {}
            return Answer(
                data["code"], 200, data.get("decision_id") or "", _why(data, error.message), refused=True
            )
        words = " ".join(block.text for block in result.content if isinstance(block, TextContent))
        return Answer(
            "allowed", 200, self._seen.get("x-decision-id", ""), words, refused=bool(result.is_error)
        )

    async def get(self, path: str, **query: str) -> Answer:
        """Call an HTTP tool."""
        return _read(await self.http.get(path, params=query))

    async def spend(self, path: str, body: dict[str, Any]) -> tuple[Answer, dict[str, Any]]:
        """Ask the treasury; the answer and its body."""
        response = await self.http.post(f"/api/treasury/{path}", json=body)
        return _read(response), response.json()


@asynccontextmanager
async def hired(gateway: str, key: str) -> AsyncIterator[Agent]:
    """An agent with an open MCP session to the bank."""
    seen: dict[str, str] = {}

    async def remember(response: httpx2.Response) -> None:
        seen.update(response.headers)

    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(
            headers=headers, event_hooks={"response": [remember]}, timeout=TIMEOUT_S
        ) as transport,
        Client(streamable_http_client(f"{gateway}/mcp/bank", http_client=transport)) as bank,
    ):
        agent = Agent(gateway, key, bank, seen)
        try:
            yield agent
        finally:
            await agent.http.aclose()


def _read(response: httpx.Response) -> Answer:
    body = response.json()
    decision_id = response.headers.get("x-decision-id", "")
    if "code" in body and response.is_error:
        return Answer(
            body["code"], response.status_code, decision_id, _why(body, body["detail"]), refused=True
        )
    if body.get("status") == "denied":
        return Answer(body["reason"], response.status_code, decision_id, _why(body, ""), refused=True)
    return Answer(body.get("status", "allowed"), response.status_code, decision_id, _gist(body))


def _why(body: dict[str, Any], otherwise: str) -> str:
    reasons = body.get("reasons") or []
    return reasons[0].get("message") or otherwise if reasons else str(otherwise)


def _gist(body: dict[str, Any]) -> str:
    if "flights" in body:
        return f"{len(body['flights'])} flights; the tool saw the agent's key: {body['authorization_seen']}"
    told = ("reason", "amount_cents", "ceiling_cents", "journal_entry_id", "approval_id")
    return ", ".join(f"{name} {body[name]}" for name in told if body.get(name) is not None)
