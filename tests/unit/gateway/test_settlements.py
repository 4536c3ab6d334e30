"""Telling the treasury again, with a journal and a treasury of values."""

import asyncio
import sqlite3

import pytest

from gateway.core.settle import Settlement
from gateway.edge.settlements import FAILED_MAX, ROUND_MAX, Settlements
from gateway.edge.treasury import unavailable
from gateway.errors import BadRequest


def due(hold_id: str) -> Settlement:
    return Settlement(hold_id, "capture", "acme", "scout", "c-1", 5, "bank")


class Open:
    """The open settlements, in memory."""

    def __init__(self, *hold_ids: str) -> None:
        self.open = {hold_id: due(hold_id) for hold_id in hold_ids}
        self.broken = False

    async def unsettled(self, limit: int, after: str) -> list[Settlement]:
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")
        return [due for hold_id, due in sorted(self.open.items()) if hold_id > after][:limit]

    async def settled(self, hold_id: str) -> None:
        del self.open[hold_id]


class Teller:
    """A treasury that hears `patience` settlements before it is gone for `gone` of them."""

    def __init__(self, patience: int = 1_000, gone: int = 0) -> None:
        self.heard: list[str] = []
        self.asked = asyncio.Event()
        self.refused: set[str] = set()
        self.failing: set[str] = set()
        self.told = 0
        self._patience = patience
        self._gone = gone

    async def settle(self, told: Settlement) -> str | None:
        self.asked.set()
        self.told += 1
        if told.hold_id in self.failing:
            raise unavailable("an error of its own")
        if told.hold_id in self.refused:
            raise BadRequest("duplicate", "captured already")
        if len(self.heard) >= self._patience and self._gone:
            self._gone -= 1
            raise unavailable("gone")
        self.heard.append(told.hold_id)
        return "entry"


@pytest.mark.requirement("GW-10")
async def test_all_that_is_open_is_told_once_and_closed() -> None:
    journal, treasury = Open("h1", "h2"), Teller()
    settlements = Settlements(journal, treasury, 1.0)
    assert await settlements.round()
    assert await settlements.round()
    assert treasury.heard == ["h1", "h2"]
    assert not journal.open


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
async def test_what_the_treasury_did_not_hear_stays_open() -> None:
    journal, treasury = Open("h1", "h2"), Teller(patience=1, gone=1)
    settlements = Settlements(journal, treasury, 1.0)
    assert await settlements.round()
    assert list(journal.open) == ["h2"]
    assert await settlements.round()
    assert treasury.heard == ["h1", "h2"]


@pytest.mark.requirement("GW-10")
async def test_what_the_treasury_refuses_for_good_is_closed_and_the_rest_is_told() -> None:
    journal, treasury = Open("h1", "h2"), Teller()
    treasury.refused = {"h1"}
    assert await Settlements(journal, treasury, 1.0).round()
    assert treasury.heard == ["h2"]
    assert not journal.open


@pytest.mark.requirement("GW-10")
async def test_what_always_fails_holds_up_no_other() -> None:
    """Not even where all were put off, since the treasury was away for a while."""
    names = [f"h{n}" for n in range(2 * FAILED_MAX)]
    journal, treasury = Open(*names), Teller()
    treasury.failing = set(names)
    settlements = Settlements(journal, treasury, 1.0)
    for _ in range(4):
        assert not await settlements.round()
    treasury.failing = set(names[:FAILED_MAX])
    for _ in range(2):
        await settlements.round()
    assert sorted(treasury.heard) == names[FAILED_MAX:]
    treasury.failing.clear()
    assert await settlements.round()
    assert not journal.open


@pytest.mark.requirement("GW-10")
async def test_more_than_a_round_takes_that_always_fail_hide_no_other() -> None:
    names = [f"h{n:04}" for n in range(ROUND_MAX + 1)]
    journal, treasury = Open(*names), Teller()
    treasury.failing = set(names[:-1])
    settlements = Settlements(journal, treasury, 1.0)
    for _ in range(ROUND_MAX // FAILED_MAX + 1):
        await settlements.round()
    assert treasury.heard == names[-1:]


@pytest.mark.requirement("GW-10")
async def test_one_that_always_fails_slows_nobody_down() -> None:
    journal, treasury = Open("h1", "h2"), Teller()
    treasury.failing = {"h1"}
    assert await Settlements(journal, treasury, 1.0).round()
    assert treasury.heard == ["h2"]


async def test_a_treasury_that_is_away_is_not_asked_for_all() -> None:
    journal, treasury = Open(*(f"h{n}" for n in range(100))), Teller(patience=0, gone=1_000)
    assert not await Settlements(journal, treasury, 1.0).round()
    assert treasury.told == FAILED_MAX


async def test_a_broken_journal_is_waited_for() -> None:
    journal = Open("h1")
    journal.broken = True
    assert not await Settlements(journal, Teller(), 1.0).round()


@pytest.mark.requirement("GW-10")
async def test_it_goes_on_until_the_treasury_is_back() -> None:
    journal, treasury = Open("h1"), Teller(patience=0, gone=3)
    running = asyncio.create_task(Settlements(journal, treasury, 0.001).run())
    async with asyncio.timeout(5):
        while journal.open:
            await treasury.asked.wait()
            treasury.asked.clear()
            await asyncio.sleep(0)
    running.cancel()
    assert treasury.heard == ["h1"]
