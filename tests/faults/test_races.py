"""Many at once, many times: one room and a hundred who want it, one key and fifty who show it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest

from schemas.ids import new_id
from tests.faults.conftest import Tell
from tests.faults.desk import HOT, Desk
from tests.faults.length import TIMEOUT_S, WHOLE
from tests.fixtures.treasury import Spend, Treasury

pytestmark = pytest.mark.timeout(TIMEOUT_S)

AT_ONCE: Final = 100
ROUNDS: Final = 200 if WHOLE else 4
SAME_KEY: Final = 50
KEYS: Final = 1_000 if WHOLE else 12
KEYS_AT_ONCE: Final = 4


@pytest.fixture
async def desks(treasury_service: Treasury) -> AsyncIterator[tuple[Desk, Desk]]:
    """Those of two gateways."""
    port = treasury_service.http.base_url.port
    assert port is not None
    opened = Desk(treasury_service.gateway, port), Desk(treasury_service.other_gateway, port)
    yield opened
    for desk in opened:
        await desk.aclose()


@pytest.mark.requirement("TRE-11")
@pytest.mark.parametrize("room", [1, 7])
async def test_as_many_are_approved_as_fit(
    treasury_service: Treasury, desks: tuple[Desk, Desk], room: int, tell: Tell
) -> None:
    for turn in range(ROUNDS):
        budget = {"key": f"role:{turn}", "window": "day", "limit_cents": room * 100 + 99}
        spends = [desks[i % 2].spend(Spend(100), budgets=[budget]) for i in range(AT_ONCE)]
        answers = await asyncio.gather(
            *(desks[i % 2].ask(path, body, new_id()) for i, (path, body) in enumerate(spends))
        )
        assert Counter(answer["status"] for answer in answers) == {
            "approved": room,
            "denied": AT_ONCE - room,
        }
        assert {answer["reason"] for answer in answers if not answer["approved"]} == {"budget_exceeded"}
    rows = await treasury_service.sql("SELECT held_cents, captured_cents FROM treasury.budgets")
    assert [tuple(row) for row in rows] == [(room * 100, 0)] * ROUNDS
    tell(f"{ROUNDS} times {AT_ONCE} authorizations with room for {room}: {room} approved each time")


@pytest.mark.requirement("TRE-13")
async def test_one_key_has_one_effect_and_one_answer(
    treasury_service: Treasury, desks: tuple[Desk, Desk], tell: Tell
) -> None:
    gate = asyncio.Semaphore(KEYS_AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await _shown_at_once(desks[number % 2], number)

    await asyncio.gather(*(one(number) for number in range(KEYS)))
    counts = "SELECT (SELECT count(*) FROM treasury.{}) AS n"
    found = {
        noun: (await treasury_service.sql(counts.format(noun)))[0]["n"]
        for noun in ("holds", "executions", "journal_entries", "postings")
    }
    assert found == {"holds": KEYS, "executions": KEYS, "journal_entries": KEYS, "postings": 2 * KEYS}
    tell(f"{2 * KEYS} keys, each shown {SAME_KEY} times at once: {KEYS} holds and {KEYS} executions")


async def _shown_at_once(desk: Desk, number: int) -> None:
    """A hold and its capture or execution, each asked for by all with one key."""
    spend = replace(Spend(200), purpose="tool_call")
    paid_call = number % 2 == 0
    unsettled = "unknown" if paid_call else "release"
    held = await _answer(desk, *desk.spend(spend, unsettled=unsettled, budgets=[HOT]))
    assert held["status"] == "approved"
    capture = desk.capture(held["hold_id"], 150) if paid_call else desk.execute(spend, 150)
    assert (await _answer(desk, *capture))["amount_cents"] == 150


async def _answer(desk: Desk, path: str, body: dict[str, Any]) -> dict[str, Any]:
    key = new_id()
    answers = await asyncio.gather(*(desk.ask(path, body, key) for _ in range(SAME_KEY)))
    assert all(answer == answers[0] for answer in answers)
    return answers[0]
