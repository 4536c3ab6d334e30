"""Calls that pay for their time, through real processes: charged while they run, and ended when they must."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from tests.fixtures.gateways import GatewayInside, GatewayProcess
from tests.fixtures.metered_tool import MeteredTool
from tests.fixtures.servers import StartOpa, eventually
from tests.fixtures.tollroad import Tollroad, daily, policy_bundle, tollroad, write_policy
from tests.fixtures.treasury import LedgerDatabase
from treasury.edge.verify import verify

pytestmark = [pytest.mark.requirement("TRE-15"), pytest.mark.requirement("GW-10")]

CENTS_A_SECOND = 100
HELD_CENTS = 60_000
WITHIN_S = 15.0
MCP_CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run", "arguments": {}}}


def metered(max_seconds: int = 600) -> dict[str, Any]:
    rate = {"rate_cents": CENTS_A_SECOND, "rate_seconds": 1, "max_seconds": max_seconds}
    return {
        "additional_arguments": True,
        "price": {"kind": "metered", **rate, "charged_on_error": False},
        "redact": [],
    }


def roles(limit_cents: int = 1_000_000) -> dict[str, Any]:
    long = {f"tool.POST {path}": metered() for path in ("/run", "/break", "/error")}
    tools = {**long, "gpu.run": metered(), "tool.POST /think": metered(max_seconds=1)}
    return {"executor": {"tools": tools, "patterns": [], "budgets": [daily(limit_cents)]}}


@pytest.fixture
async def open_road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path
) -> Callable[..., Any]:
    opa = start_opa([policy_bundle(tmp_path / "policy", roles(), [])])

    @asynccontextmanager
    async def opened(kind: type[Any] = GatewayInside, gateways: int = 1) -> AsyncIterator[Tollroad]:
        """Tools may be silent for half a second, unless that is paid for."""
        often = {"accrual_interval_s": 0.1, "upstream_timeout_s": 0.5, "upstream_idle_timeout_s": 0.5}
        async with tollroad(ledger_database, opa, tmp_path, kind, gateways, MeteredTool(), often) as road:
            yield road

    return opened


@pytest.fixture
async def road(open_road: Callable[..., Any]) -> AsyncIterator[Tollroad]:
    async with open_road(gateways=2) as road:
        yield road


async def holds(road: Tollroad) -> list[tuple[str, int]]:
    """Each hold's status and what was captured of it."""
    rows = await road.rows("SELECT status::text, captured_cents FROM treasury.holds ORDER BY placed_at")
    return [(str(status), int(cents)) for status, cents in rows]


async def until(road: Tollroad, status: str, least_cents: int = CENTS_A_SECOND, count: int = 1) -> list[int]:
    """Ask the ledger until all holds are this and so much was captured of each; what was."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await holds(road)
            ready = [cents for it, cents in found if it == status and cents >= least_cents]
            if len(ready) == count:
                return ready
            assert len(found) <= count, found
            await asyncio.sleep(0.05)


async def check_books(road: Tollroad) -> None:
    connection = await asyncpg.connect(road.dsn)
    try:
        assert await verify(connection) == []
    finally:
        await connection.close()


async def completed(road: Tollroad, decision_id: str, gateway: int = 0) -> tuple[str, str | None]:
    path = f"/v1/decisions/{decision_id}"
    told = (await road.ask("GET", path, key="scout-key", gateway=gateway)).json()
    return told["outcome"], told["code"]


async def test_a_call_is_charged_while_it_streams_and_what_it_did_not_use_is_free(road: Tollroad) -> None:
    call = asyncio.create_task(road.call("/run"))
    (early,) = await until(road, "placed")
    assert early < HELD_CENTS
    road.tool.go.set()
    answer = await call
    assert (answer.status_code, answer.text) == (200, "tick\n")
    ((status, cents),) = await holds(road)
    assert status == "captured"
    assert early + CENTS_A_SECOND <= cents < HELD_CENTS
    assert cents % CENTS_A_SECOND == 0
    (budget,) = (await road.read("budgets"))["items"]
    assert (budget["held_cents"], budget["captured_cents"]) == (0, cents)
    entries = await road.rows("SELECT sum(amount_cents) FROM treasury.journal_entries")
    assert entries == [(cents,)]
    assert await completed(road, answer.headers["x-decision-id"]) == ("succeeded", None)
    await check_books(road)


async def streamed_to_its_end(road: Tollroad, started: asyncio.Event, decisions: list[str]) -> None:
    url = f"{road.gateways[0].url}/tools/tool/run"
    headers = {"authorization": "Bearer scout-key"}
    async with road.client.stream("POST", url, headers=headers) as answer:
        decisions.append(answer.headers["x-decision-id"])
        started.set()
        async for _ in answer.aiter_bytes():
            pass


async def spoken_to_its_end(road: Tollroad) -> dict[str, Any]:
    """The last event of a call of MCP, through the other gateway."""
    headers = {"accept": "application/json, text/event-stream"}
    answer = await road.ask("POST", "/mcp/gpu", key="rival-key", gateway=1, json=MCP_CALL, headers=headers)
    assert answer.status_code == 200, answer.text
    last = answer.text.strip().split("\n\n")[-1]
    return dict(orjson.loads(last.partition("data: ")[2]))


@pytest.mark.requirement("TRE-11")
async def test_two_calls_are_ended_when_their_budget_is_depleted(road: Tollroad, tmp_path: Path) -> None:
    """Of two agents, by HTTP and by MCP, through two gateways; the limit is lowered while they run."""
    started, decisions = asyncio.Event(), list[str]()
    streamed = asyncio.create_task(streamed_to_its_end(road, started, decisions))
    spoken = asyncio.create_task(spoken_to_its_end(road))
    await until(road, "placed", count=2)
    road.opa.kill()
    write_policy(tmp_path / "policy", roles(limit_cents=3 * CENTS_A_SECOND), [])
    road.opa.start()
    refused = await road.call("/run")
    assert (refused.status_code, refused.json()["code"]) == (403, "budget_exceeded")
    with pytest.raises(httpx.RemoteProtocolError):
        await streamed
    error = (await spoken)["error"]
    assert error["code"] == -32001
    assert error["data"]["code"] == "budget_exceeded"
    assert "role:executor" in error["message"]
    await eventually(lambda: road.tool.left == 2, WITHIN_S)
    found = await holds(road)
    assert [status for status, _ in found] == ["captured"] * 2
    (budget,) = (await road.read("budgets"))["items"]
    assert budget["held_cents"] == 0
    assert 300 <= budget["captured_cents"] == sum(cents for _, cents in found) < HELD_CENTS
    assert await completed(road, decisions[0]) == ("unknown", "budget_exceeded")
    await check_books(road)


async def test_a_call_that_takes_its_longest_time_is_ended_and_pays_what_was_held(road: Tollroad) -> None:
    answer = await road.call("/think")
    assert (answer.status_code, answer.json()["code"]) == (403, "spend_exceeds_ceiling")
    assert await holds(road) == [("captured", CENTS_A_SECOND)]
    assert await completed(road, answer.headers["x-decision-id"]) == ("unknown", "spend_exceeds_ceiling")
    assert road.tool.left == 1
    await check_books(road)


async def test_a_caller_who_leaves_pays_for_the_time_and_the_rest_is_free(road: Tollroad) -> None:
    started = asyncio.Event()
    call = asyncio.create_task(streamed_to_its_end(road, started, []))
    (early,) = await until(road, "placed")
    call.cancel()
    (cents,) = await until(road, "captured")
    assert early < cents < HELD_CENTS
    await check_books(road)


@pytest.mark.parametrize(("path", "status"), [("/break", "unknown"), ("/error", "voided")])
async def test_after_a_break_the_rest_stays_held_and_after_an_error_it_is_free(
    road: Tollroad, path: str, status: str
) -> None:
    call = asyncio.create_task(road.call(path))
    (early,) = await until(road, "placed")
    road.tool.go.set()
    if path == "/break":
        with pytest.raises(httpx.RemoteProtocolError):
            await call
    else:
        assert (await call).status_code == 500
    (cents,) = await until(road, status)
    assert early <= cents < HELD_CENTS
    (budget,) = (await road.read("budgets"))["items"]
    assert budget["captured_cents"] == cents
    assert budget["held_cents"] == (HELD_CENTS - cents if status == "unknown" else 0)
    await check_books(road)


@pytest.mark.requirement("GW-19")
async def test_without_the_treasury_the_call_goes_on_and_is_charged_when_it_is_back(road: Tollroad) -> None:
    call = asyncio.create_task(road.call("/run"))
    (early,) = await until(road, "placed")
    road.treasury.kill()
    assert not call.done()
    road.tool.go.set()
    assert (await call).status_code == 200
    assert await holds(road) == [("placed", early)]
    road.treasury.start()
    (cents,) = await until(road, "captured")
    assert early < cents < HELD_CENTS
    await check_books(road)


async def test_a_gateway_killed_within_a_call_keeps_what_accrued_and_the_rest_is_unknown(
    open_road: Callable[..., Any],
) -> None:
    async with open_road(GatewayProcess) as road:
        call = asyncio.create_task(road.call("/run"))
        await until(road, "placed")
        (gateway,) = road.gateways
        gateway.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            await call
        ((_, accrued),) = await holds(road)
        await gateway.start()
        assert await until(road, "unknown") == [accrued]
        (budget,) = (await road.read("budgets"))["items"]
        assert (budget["held_cents"], budget["captured_cents"]) == (HELD_CENTS - accrued, accrued)
        await check_books(road)


@pytest.mark.requirement("GW-19")
async def test_what_was_used_is_charged_though_treasury_and_gateway_were_killed(
    open_road: Callable[..., Any],
) -> None:
    """The treasury within the call, the gateway after it: the journal knows what is due."""
    async with open_road(GatewayProcess) as road:
        call = asyncio.create_task(road.call("/run"))
        (early,) = await until(road, "placed")
        road.treasury.kill()
        road.tool.go.set()
        assert (await call).status_code == 200
        (gateway,) = road.gateways
        gateway.kill()
        assert await holds(road) == [("placed", early)]
        road.treasury.start()
        await gateway.start()
        (cents,) = await until(road, "captured")
        assert early < cents < HELD_CENTS
        await check_books(road)


async def test_a_call_that_was_never_sent_costs_nothing(road: Tollroad) -> None:
    await road.tool.stop()
    answer = await road.call("/run")
    assert (answer.status_code, answer.json()["code"]) == (502, "upstream_unreachable")
    assert await holds(road) == [("voided", 0)]
