"""Batches: who shares one, who waits, and what happens to a bad command among good ones."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from adapters.postgres import DatabaseUnavailable
from schemas.ids import new_id
from tests.fixtures.commands import a_command
from treasury.core.command import Answer, Command, Expire, VoidHold
from treasury.edge.access import Gateway
from treasury.edge.batch import Batches, Limits
from treasury.edge.house import House, Writer
from treasury.edge.knowing import RowsMoved
from treasury.edge.ledger import POSTPONED, Reply
from treasury.errors import NotAuthorized, Refused

pytestmark = [pytest.mark.requirement("TRE-11"), pytest.mark.requirement("TRE-13")]

HOLDS = [UUID(new_id()) for _ in range(6)]


class Road:
    """Stands where the database's transaction is: it keeps what came, and waits until it is let on."""

    def __init__(self, fault: Callable[[Sequence[Command]], Exception | None] = lambda _: None) -> None:
        self.batches: list[list[Command]] = []
        self.open = asyncio.Event()
        self.open.set()
        self._fault = fault

    async def __call__(self, commands: Sequence[Command]) -> list[Reply]:
        self.batches.append(list(commands))
        await self.open.wait()
        fault = self._fault(commands)
        if fault is not None:
            raise fault
        return [Answer(200, {"key": command.asked.key if command.asked else ""}) for command in commands]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


def batches(road: Callable[[Sequence[Command]], Awaitable[list[Reply]]], **changes: int) -> Batches:
    limits = {"commands_max": 100, "queue_max": 100, "lanes_max": 1, "in_flight_wait_ms": 10}
    return Batches(road, Limits(**limits | changes))


def void(hold: int = 0, key: str | None = None, request: str = "r") -> Command:
    return a_command(VoidHold(HOLDS[hold]), key, request=request)


def asking(into: Batches, commands: Sequence[Command]) -> list[asyncio.Task[Answer | None]]:
    return [asyncio.create_task(into.do(command)) for command in commands]


async def settled(tasks: Sequence[asyncio.Task[Answer | None]]) -> list[object]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_queued_while_one_ran_goes_together() -> None:
    road = Road()
    road.open.clear()
    into = batches(road)
    tasks = asking(into, [void(0)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += asking(into, [void(hold) for hold in range(1, 6)])
    await asyncio.sleep(0)
    road.open.set()
    assert all(isinstance(answer, Answer) for answer in await settled(tasks))
    assert road.sizes == [1, 5]


async def test_a_batch_is_no_longer_than_its_limit() -> None:
    road = Road()
    await settled(asking(batches(road, commands_max=2), [void(hold) for hold in range(5)]))
    assert road.sizes == [2, 2, 1]


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 8), st.integers(1, 3))
def test_those_about_the_same_hold_keep_their_order_and_never_share(
    holds: list[int], commands_max: int, lanes_max: int
) -> None:
    async def run() -> None:
        road = Road()
        into = batches(road, commands_max=commands_max, lanes_max=lanes_max)
        commands = [void(hold) for hold in holds]
        answers = await settled(asking(into, commands))
        assert [answer.body["key"] for answer in answers if isinstance(answer, Answer)] == [
            command.asked.key for command in commands if command.asked
        ]
        for batch in road.batches:
            assert len(batch) <= commands_max
            assert len({command.hold_id for command in batch}) == len(batch)
        carried = [command for batch in road.batches for command in batch]
        for hold in HOLDS:
            assert [c for c in carried if c.hold_id == hold] == [c for c in commands if c.hold_id == hold]
        await into.close()

    asyncio.run(run())


async def test_no_command_is_left_behind_by_a_lane_that_ends() -> None:
    into = batches(Road())
    for _ in range(50):
        await into.do(void())
        tasks = asking(into, [void(1), void(2)])
        await asyncio.sleep(0)
        assert len(await asyncio.wait_for(settled(tasks), 5)) == 2


async def test_whoever_asked_for_something_else_with_a_key_under_way_is_carried_out_too() -> None:
    road = Road()
    into = batches(road)
    asked = [void(number, "k", request) for number, request in enumerate(["r", "other", "another"])]
    assert await settled(asking(into, asked)) == [Answer(200, {"key": "k"})] * 3
    assert road.batches == [[command] for command in asked]
    await into.do(asked[0])
    assert road.sizes == [1, 1, 1, 1]


async def test_the_bad_one_stands_alone_and_hurts_nobody() -> None:
    bad = void(3)
    road = Road(lambda commands: ValueError("bad row") if bad in commands else None)
    commands = [void(0), void(1), void(2), bad, void(4), void(5)]
    answers = await settled(asking(batches(road), commands))
    assert [isinstance(answer, Answer) for answer in answers] == [True, True, True, False, True, True]
    assert str(answers[3]) == "bad row"


async def test_a_database_that_is_gone_is_gone_for_all_of_them() -> None:
    road = Road(lambda _: DatabaseUnavailable("gone"))
    answers = await settled(asking(batches(road), [void(0), void(1)]))
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 2
    assert road.sizes == [2]


@pytest.mark.parametrize("race", [asyncpg.UniqueViolationError("taken"), RowsMoved()])
async def test_who_lost_a_race_looks_again(race: Exception) -> None:
    lost = [race, race]
    road = Road(lambda _: lost.pop() if lost else None)
    assert isinstance(await batches(road).do(void()), Answer)
    assert road.sizes == [1, 1, 1]


async def test_who_loses_every_race_is_told() -> None:
    with pytest.raises(RowsMoved):
        await batches(Road(lambda _: RowsMoved())).do(void())


async def test_a_row_that_stays_locked_is_in_flight() -> None:
    with pytest.raises(Refused) as refused:
        await batches(Road(lambda _: asyncpg.LockNotAvailableError("locked"))).do(void())
    assert refused.value.code == "idempotency_in_flight"


async def test_a_postponed_command_goes_next() -> None:
    sizes: list[int] = []

    async def road(commands: Sequence[Command]) -> list[Reply]:
        sizes.append(len(commands))
        first: list[Reply] = [Answer(200, {})]
        return first + [POSTPONED] * (len(commands) - 1)

    assert await settled(asking(batches(road), [void(0), void(1), void(2)])) == [Answer(200, {})] * 3
    assert sizes == [3, 1, 1]


async def test_the_same_request_shares_the_answer_of_the_first() -> None:
    road = Road()
    answers = await settled(asking(batches(road), [void(0, key="k") for _ in range(50)]))
    assert answers == [Answer(200, {"key": "k"})] * 50
    assert road.sizes == [1]


async def test_another_request_with_the_key_is_asked_for_itself() -> None:
    road = Road()
    commands = [void(0, key="k"), void(1, key="k", request="other")]
    await settled(asking(batches(road), commands))
    assert road.sizes == [1, 1]


async def test_after_a_failure_the_same_request_is_asked_again() -> None:
    faults: list[Exception] = [DatabaseUnavailable("gone")]
    road = Road(lambda _: faults.pop() if faults else None)
    answers = await settled(asking(batches(road), [void(0, key="k"), void(0, key="k")]))
    assert [type(answer) for answer in answers] == [DatabaseUnavailable, Answer]


async def test_a_key_that_is_under_way_for_long_is_refused() -> None:
    road = Road()
    road.open.clear()
    into = batches(road)
    (first,) = asking(into, [void(0, key="k")])
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await into.do(void(0, key="k"))
    assert refused.value.code == "idempotency_in_flight"
    road.open.set()
    assert await first == Answer(200, {"key": "k"})


async def test_who_left_does_not_stop_the_command() -> None:
    road = Road()
    road.open.clear()
    into = batches(road)
    first, refused = asking(into, [void(0, key="k"), void(1)])
    await asyncio.sleep(0)
    first.cancel()
    refused.cancel()
    await settled([first, refused])
    road.open.set()
    assert await into.do(void(0, key="k")) == Answer(200, {"key": "k"})
    await into.close()
    assert road.sizes[0] == 2


async def test_who_left_is_told_nothing() -> None:
    road = Road(lambda commands: ValueError("bad") if len(commands) == 1 else None)
    road.open.clear()
    into = batches(road)
    alone, *others = asking(into, [void(0), void(1), void(2)])
    await asyncio.sleep(0)
    for task in (alone, *others):
        task.cancel()
    await settled([alone, *others])
    road.open.set()
    await into.close()
    (last,) = asking(into, [void(3)])
    await asyncio.sleep(0)
    last.cancel()
    await settled([last])
    await into.close()
    assert road.sizes == [3, 1]


async def test_a_command_that_is_asked_for_is_answered() -> None:
    async def road(commands: Sequence[Command]) -> list[Reply]:
        return [None] * len(commands)

    command = void()
    assert command.asked is not None
    house = cast(House, SimpleNamespace(batches=batches(road)))
    writer = Writer(house, command.asked, cast(Gateway, None), cast(OKPKey, None))
    with pytest.raises(LookupError, match="unanswered"):
        await writer.do(command.act)


async def test_too_many_are_sent_away() -> None:
    road = Road()
    road.open.clear()
    into = batches(road, queue_max=1)
    tasks = asking(into, [void(hold) for hold in range(4)])
    await asyncio.sleep(0)
    road.open.set()
    answers = await settled(tasks)
    assert DatabaseUnavailable in [type(answer) for answer in answers]


@pytest.mark.parametrize("refusal", [Refused("duplicate", "no"), NotAuthorized("token_invalid", "no")])
async def test_a_refusal_is_raised(refusal: Refused) -> None:
    async def road(commands: Sequence[Command]) -> list[Reply]:
        return [refusal] * len(commands)

    with pytest.raises(type(refusal)):
        await batches(road).do(void())


async def test_nobody_asks_for_what_the_house_does_by_itself() -> None:
    async def road(commands: Sequence[Command]) -> list[Reply]:
        return [None] * len(commands)

    assert await batches(road).do(Command("acme", new_id(), Expire(HOLDS[0]))) is None
