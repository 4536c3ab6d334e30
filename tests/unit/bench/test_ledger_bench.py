"""What the ledger's bench says of its measurements; the measuring itself is `make bench`."""

import asyncio

import pytest

from bench.ledger import PEER, Floor, Found, judge, verdict
from bench.ledger_load import Measure, closed, open_loop
from bench.ledger_tigerbeetle import ADDRESS, why_left_out

pytestmark = pytest.mark.requirement("PERF-01")


def found(store: float, http: float, p50_ms: float, grown: float, rss_mb: float) -> Found:
    rates = {
        (PEER, "one hot budget"): 100.0,
        ("the store alone", "one hot budget"): store,
        ("through HTTP", "one hot budget"): http,
        ("the store alone", "10,000 entries"): 1_000.0,
        ("the store alone", "1,000,000 entries"): grown,
    }
    made = Found(rss_mb=rss_mb)
    for (way, kind), per_s in rates.items():
        made.keep(way, kind, Measure(per_s, 1.0, 2.0))
    made.keep("through HTTP", "open, 200/s", Measure(200.0, p50_ms, 9.0))
    return made


@pytest.mark.parametrize(
    ("measured", "missed"),
    [
        ((1_500.0, 300.0, 5.0, 800.0, 120.0), []),
        ((1_499.0, 300.0, 5.0, 800.0, 120.0), [0]),
        ((1_500.0, 299.0, 5.0, 800.0, 120.0), [1]),
        ((1_500.0, 300.0, 5.1, 800.0, 120.0), [2]),
        ((1_500.0, 300.0, 5.0, 799.0, 120.0), [3]),
        ((1_500.0, 300.0, 5.0, 800.0, 121.0), [4]),
    ],
)
def test_floors_are_held_against_the_peer_of_the_same_run(
    measured: tuple[float, float, float, float, float], missed: list[int]
) -> None:
    floors = judge(found(*measured), 1_000_000)
    assert [number for number, floor in enumerate(floors) if not floor.holds] == missed
    assert verdict(floors) == (1 if missed else 0)


def test_a_floor_has_a_side() -> None:
    assert Floor("speed", 2, 1).holds
    assert not Floor("memory", 2, 1, at_most=True).holds


async def test_a_closed_loop_waits_for_each_answer() -> None:
    under_way = set()

    async def spend(number: int) -> None:
        assert number not in under_way
        under_way.add(number)
        await asyncio.sleep(0)
        under_way.remove(number)

    measured = await closed(spend, 4, 0.05)
    assert measured.per_s > 4


async def test_an_open_loop_does_not() -> None:
    spent: list[int] = []
    all_are_due = asyncio.Event()

    async def spend(number: int) -> None:
        spent.append(number)
        if len(spent) == 20:
            all_are_due.set()
        await all_are_due.wait()

    measured = await open_loop(spend, 1_000, 0.02)
    assert spent == list(range(20))
    assert measured.left_out == 0


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    assert "left out" in (why_left_out() or "")
