"""A real MCP client and a real MCP server, of both eras of the protocol, with the gateway between."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.fixtures.servers import OpaServer, StartOpa
from tests.integration.gateway.mcp_stack import (
    Bank,
    agent,
    bank_server,
    gateway,
    policy_bundle,
    served,
    settings,
)

pytestmark = [pytest.mark.requirement("GW-05")]


ACCEPT = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def bank() -> Iterator[Bank]:
    bank = Bank()
    yield bank
    bank.go_on.set()


@pytest.fixture
def opa(start_opa: StartOpa, tmp_path: Path) -> OpaServer:
    return start_opa([policy_bundle(tmp_path)])


@pytest.fixture(params=[True, False], ids=["json answers", "event streams"])
def url(request: pytest.FixtureRequest, bank: Bank, opa: OpaServer, tmp_path: Path) -> Iterator[str]:
    with between(bank, opa, tmp_path, json_answers=request.param) as url:
        yield url


@pytest.fixture
def streaming_url(bank: Bank, opa: OpaServer, tmp_path: Path) -> Iterator[str]:
    with between(bank, opa, tmp_path, json_answers=False) as url:
        yield url


@contextmanager
def between(bank: Bank, opa: OpaServer, folder: Path, *, json_answers: bool) -> Iterator[str]:
    """The gateway's URL for the bank that stands behind it."""
    with served(bank_server(bank).streamable_http_app(json_response=json_answers)) as upstream:
        configured = settings(folder, opa, {"bank": {"kind": "mcp", "url": f"{upstream}/mcp"}})
        with gateway(configured) as address:
            yield f"{address}/mcp/bank"


@asynccontextmanager
async def client(url: str, mode: str, key: str = "scout-key") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as connected,
    ):
        yield connected


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_that_changes_only_url_and_header(url: str, mode: str, bank: Bank) -> None:
    async with client(url, mode) as scout:
        tools = await scout.list_tools()
        assert {tool.name for tool in tools.tools} == {"balance", "transfer", "steal", "fail", "slow_count"}
        answer = await scout.call_tool("balance", {"account": "ACC-1"})
        assert answer.content[0].text == "ACC-1: 17"
        rules = await scout.read_resource("bank://rules")
        assert rules.contents[0].text == "be nice"
        failed = await scout.call_tool("fail", {})
        assert failed.is_error
    assert bank.calls == ["balance", "fail"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.requirement("GW-01")
async def test_refusals_reach_the_client_as_errors(url: str, mode: str, bank: Bank) -> None:
    async with client(url, mode) as scout:
        with pytest.raises(MCPError) as caught:
            await scout.call_tool("steal", {})
        assert caught.value.error.code == -32001
        assert caught.value.error.data["code"] == "tool_not_allowed"
        assert caught.value.error.data["decision_id"]
        with pytest.raises(MCPError) as caught:
            await scout.call_tool("transfer", {"amount": 501})
        assert caught.value.error.data["code"] == "argument_refused"
        assert (await scout.call_tool("transfer", {"amount": 500})).content[0].text == "moved 500.0"
    assert bank.calls == ["transfer"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.requirement("GW-19")
async def test_without_opa_every_call_is_refused(url: str, mode: str, bank: Bank, opa: OpaServer) -> None:
    async with client(url, mode) as scout:
        opa.kill()
        with pytest.raises(MCPError) as caught:
            await scout.call_tool("balance", {"account": "ACC-1"})
        assert caught.value.error.code == -32603
        assert caught.value.error.data["code"] == "policy_unavailable"
    assert bank.calls == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_progress_comes_while_the_call_runs(streaming_url: str, mode: str, bank: Bank) -> None:
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)
        bank.go_on.set()

    async with client(streaming_url, mode) as scout:
        answer = await scout.call_tool("slow_count", {}, progress_callback=on_progress)
        assert answer.content[0].text == "counted"
    assert seen == [1, 2]


async def test_a_session_is_worth_nothing_to_another_agent(url: str, bank: Bank) -> None:
    async with agent() as scout, agent("rival-key") as rival:
        session = (await scout.post(url, json=INITIALIZE, headers=ACCEPT)).headers["mcp-session-id"]
        mine = await scout.post(url, json=PING, headers=ACCEPT | {"Mcp-Session-Id": session})
        assert mine.status_code == 200
        for thief, stolen in ((rival, session), (scout, session[:-1]), (scout, session.rpartition(".")[0])):
            theirs = await thief.post(url, json=PING, headers=ACCEPT | {"Mcp-Session-Id": stolen})
            assert theirs.status_code == 404
            assert theirs.json()["error"]["data"]["code"] == "not_found"
        ended = await scout.delete(url, headers={"Mcp-Session-Id": session})
        assert ended.status_code == 200
        after = await scout.post(url, json=PING, headers=ACCEPT | {"Mcp-Session-Id": session})
        assert after.status_code == 404


async def test_a_standing_stream_passes_until_the_client_leaves(streaming_url: str) -> None:
    async with agent() as scout:
        began = await scout.post(streaming_url, json=INITIALIZE, headers=ACCEPT)
        headers = ACCEPT | {"Mcp-Session-Id": began.headers["mcp-session-id"]}
        async with scout.stream("GET", streaming_url, headers=headers) as standing:
            assert standing.status_code == 200
            assert standing.headers["content-type"].startswith("text/event-stream")
        async with scout.stream("GET", streaming_url, headers=headers) as again:
            assert again.status_code in {200, 409}
