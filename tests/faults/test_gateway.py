"""A gateway whose clock is set wrong, or whose journal does not get to the disk."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.faults.conftest import Tell
from tests.faults.faulty import Faults
from tests.faults.length import TIMEOUT_S, WHOLE
from tests.fixtures.gateways import GatewayProcess
from tests.fixtures.servers import StartOpa
from tests.fixtures.tollroad import EXECUTOR, RULES, Tollroad, daily, policy_bundle, tollroad
from tests.fixtures.treasury import LedgerDatabase

pytestmark = pytest.mark.timeout(TIMEOUT_S)

ROUNDS: Final = 20 if WHOLE else 1
HOUR_S: Final = 3_600
STEPS_S: Final = (-HOUR_S, HOUR_S, -90, 90, -30 * 86_400, 30 * 86_400)
POLICY: Final = EXECUTOR | {"budgets": [daily(1_000_000)]}


@pytest.fixture
async def road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path, faults: Faults
) -> AsyncIterator[Tollroad]:
    """With a gateway that has these faults."""
    opa = start_opa([policy_bundle(tmp_path / "policy", {"executor": POLICY}, RULES)])
    kind = type("Faulty", (GatewayProcess,), {"environment": faults.environment})
    async with tollroad(ledger_database, opa, tmp_path, kind) as road:
        yield road


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def check_on_record(road: Tollroad, answers: list[httpx.Response]) -> None:
    """Whoever was answered can ask why."""
    for answer in answers:
        decision_id = answer.headers["x-decision-id"]
        told = await road.ask("GET", f"/v1/decisions/{decision_id}", key="scout-key")
        assert (told.status_code, told.json()["id"]) == (200, decision_id), told.text


@pytest.mark.requirement("TRE-03")
@pytest.mark.requirement("GW-19")
async def test_a_clock_that_is_set_wrong_moves_no_money(road: Tollroad, faults: Faults, tell: Tell) -> None:
    """What it signs is not good yet or no longer; free calls go on, and no record is lost or found twice."""
    answers: list[httpx.Response] = []
    for step_s in STEPS_S * ROUNDS:
        answers += [await road.call("/ok"), await road.call("/free")]
        assert [code(answer) for answer in answers[-2:]] == [(200, "")] * 2
        reached = len(road.tool.calls)
        faults.say(clock_off_s=step_s)
        answers += [await road.call("/ok"), await road.call("/free")]
        assert [code(answer) for answer in answers[-2:]] == [(403, "no_authorization_record"), (200, "")]
        faults.say()
        assert len(road.tool.calls) == reached + 1
    assert await road.holds() == [("captured", 100)] * len(STEPS_S) * ROUNDS
    await check_on_record(road, answers)
    tell(f"{ROUNDS} times a clock off by each of {STEPS_S} s: {len(answers)} calls, all on record")


@pytest.mark.requirement("AUD-01")
@pytest.mark.requirement("GW-19")
async def test_a_journal_that_does_not_sync_refuses_every_call(
    road: Tollroad, faults: Faults, tell: Tell
) -> None:
    """Nothing reaches a tool that is not on the disk first, and what was held for it is free again."""
    answers: list[httpx.Response] = []
    for _ in range(ROUNDS):
        answers += [await road.call("/ok"), await road.call("/free")]
        reached = len(road.tool.calls)
        faults.say(sync_fails=True)
        for path in ("/ok", "/free") * 3:
            assert code(await road.call(path)) == (503, "journal_unavailable")
        faults.say()
        assert len(road.tool.calls) == reached
        async with asyncio.timeout(TIMEOUT_S):
            while code(await road.call("/free"))[0] != 200:
                await asyncio.sleep(0.02)
    assert [code(answer) for answer in answers] == [(200, "")] * len(answers)
    async with asyncio.timeout(TIMEOUT_S):
        while "placed" in (found := Counter(status for status, _ in await road.holds())):
            await asyncio.sleep(0.02)
    assert found["captured"] == ROUNDS
    assert set(found) <= {"captured", "voided"}
    await check_on_record(road, answers)
    tell(f"{ROUNDS} times a journal that did not sync: {dict(found)}")
