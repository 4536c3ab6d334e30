"""A hold that the gateway gave up waiting for: nothing was forwarded under it, so its money becomes free."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fixtures.gateways import GatewayInside, GatewayProcess, registry
from tests.fixtures.servers import StartOpa
from tests.fixtures.tollroad import (
    AGENTS,
    BUDGET_CENTS,
    EXECUTOR,
    OPERATORS,
    RULES,
    Tollroad,
    policy_bundle,
    tollroad,
)
from tests.fixtures.treasury import LedgerDatabase

PATIENCE_MS = 300


class Muffler:
    """Stands between gateway and treasury. `swallow` is which half of a hold's exchange gets lost for now."""

    def __init__(self, treasury_url: str) -> None:
        self._address = urlsplit(treasury_url)
        self.swallow: str | None = None
        self.swallowed = asyncio.Event()
        self.go_on = asyncio.Event()
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self.go_on.set()
        self._server.close()
        for task in filter(None, self._tasks):
            task.cancel()
        await asyncio.gather(*filter(None, self._tasks), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        try:
            while request := await _message(reader):
                answer = await self._exchange(request)
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway waits no longer
        finally:
            writer.close()

    async def _exchange(self, request: bytes) -> bytes:
        lost = self.swallow if request.startswith(b"POST /v1/spends ") else None
        if lost == "request":
            self.swallowed.set()
            await self.go_on.wait()
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        try:
            writer.write(request)
            answer = await _message(reader)
        finally:
            writer.close()
        if lost is not None:
            self.swallowed.set()
            await asyncio.Event().wait()
        return answer


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
    return head + await reader.readexactly(length)


@pytest.fixture
async def road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path
) -> AsyncIterator[tuple[Tollroad, Muffler]]:
    """Its second gateway reaches the treasury through the muffler."""
    opa = start_opa([policy_bundle(tmp_path / "policy", {"executor": EXECUTOR}, RULES)])
    async with AsyncExitStack() as stack:
        road = await stack.enter_async_context(tollroad(ledger_database, opa, tmp_path))
        muffler = Muffler(road.treasury.url)
        await muffler.start()
        stack.push_async_callback(muffler.stop)
        extra = {"treasury_timeout_ms": PATIENCE_MS}
        known = registry(road.tool, AGENTS, OPERATORS)
        muffled: Any = GatewayInside(
            tmp_path / "muffled", "muffled", opa, known, muffler.url, "muffled-token", extra
        )
        road.treasury.pin([*road.gateways, muffled])
        await muffled.start()
        stack.push_async_callback(muffled.stop)
        road.gateways.append(muffled)
        yield road, muffler


async def until(road: Tollroad, expected: list[tuple[str, int]]) -> None:
    async with asyncio.timeout(15):
        while await road.holds() != expected:
            await asyncio.sleep(0.05)


async def settled(road: Tollroad) -> list[tuple[Any, ...]]:
    """The keys under which the treasury was told to void, with its answers."""
    return await road.rows("SELECT key, status FROM treasury.idempotency ORDER BY key")


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
async def test_a_hold_whose_answer_was_lost_is_voided(road: tuple[Tollroad, Muffler]) -> None:
    tollhouse, muffler = road
    muffler.swallow = "answer"
    answer = await tollhouse.call("/ok", gateway=1)
    assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
    assert muffler.swallowed.is_set()
    await until(tollhouse, [("voided", 100)])
    assert tollhouse.tool.calls == []
    (budget,) = (await tollhouse.read("budgets"))["items"]
    assert budget["remaining_cents"] == BUDGET_CENTS
    muffler.swallow = None
    assert (await tollhouse.call("/ok", gateway=1)).status_code == 200


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
async def test_a_hold_that_is_asked_for_too_late_is_not_placed(road: tuple[Tollroad, Muffler]) -> None:
    tollhouse, muffler = road
    muffler.swallow = "request"
    answer = await tollhouse.call("/ok", gateway=1)
    assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
    muffler.swallowed.clear()
    async with asyncio.timeout(15):
        while not await settled(tollhouse):
            await asyncio.sleep(0.05)
        muffler.go_on.set()
        await muffler.swallowed.wait()
    assert await tollhouse.holds() == []
    ((key, status),) = await settled(tollhouse)
    assert (key, status) == (f"gateway:{answer.headers['x-decision-id']}", 404)
    assert tollhouse.tool.calls == []


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("AUD-01")
async def test_a_gateway_that_dies_before_it_could_withdraw_does_so_later(
    road: tuple[Tollroad, Muffler], tmp_path: Path
) -> None:
    tollhouse, muffler = road
    extra = {"treasury_timeout_ms": PATIENCE_MS, "settlement_retry_ms": 60_000}
    known = registry(tollhouse.tool, AGENTS, OPERATORS)
    mortal: Any = GatewayProcess(
        tmp_path / "mortal", "mortal", tollhouse.opa, known, muffler.url, "mortal-token", extra
    )
    tollhouse.treasury.pin([*tollhouse.gateways, mortal])
    await mortal.start()
    tollhouse.gateways.append(mortal)
    try:
        muffler.swallow = "answer"
        assert (await tollhouse.call("/ok", gateway=2)).status_code == 503
        assert await tollhouse.holds() == [("placed", 100)]
        mortal.kill()
        await mortal.start()
        await until(tollhouse, [("voided", 100)])
    finally:
        await mortal.stop()
