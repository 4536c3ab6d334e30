"""Poison is set apart with its reason and can be replayed; what comes twice is handled once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import pytest

from adapters.metrics import Metrics
from adapters.nats import Bus, BusUnavailable, StreamLimits
from adapters.postgres import DatabaseUnavailable
from control.reader import Meter, Pace, Reader
from schemas.events.registry import Event
from tests.fixtures.bus import LossyBus
from tests.fixtures.events import decided, of_record
from tests.integration.control.conftest import until

pytestmark = pytest.mark.requirement("EVT-04")

PACE = Pace(batch_max=16, wait_s=0.1, retry_s=0.01, attempts_max=3)


class Hand:
    """A handler that fails as a test wants, and keeps what it did."""

    durable = "recorder"

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.attempts = 0
        self.fail: Callable[[Event], Exception | None] = lambda _: None

    async def handle(self, events: Sequence[Event]) -> None:
        self.attempts += 1
        for event in events:
            if error := self.fail(event):
                raise error
        self.handled += [event["event_id"] for event in events]


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def meter() -> Meter:
    return Meter(Metrics())


@asynccontextmanager
async def reading(bus: LossyBus, hand: Hand, meter: Meter) -> AsyncIterator[Reader]:
    async def connect() -> Bus:
        return await Bus.connect(bus.address("control"))

    reader = Reader(hand, connect, StreamLimits(), PACE, meter)
    reader.start(lambda: None)

    async def ready() -> bool:
        return reader.ready

    await until(ready)
    yield reader
    await reader.stop()


@pytest.fixture
async def gateway(lossy_bus: LossyBus) -> AsyncIterator[Bus]:
    owner = await Bus.connect(lossy_bus.address("control"))
    await owner.ensure_streams()
    await owner.close()
    bus = await Bus.connect(lossy_bus.address("gateway"))
    yield bus
    await bus.close()


@pytest.fixture
async def replayer(lossy_bus: LossyBus) -> AsyncIterator[Bus]:
    bus = await Bus.connect(lossy_bus.address("replayer"))
    yield bus
    await bus.close()


def some_events(count: int) -> list[Event]:
    return [of_record("decided", decided()) for _ in range(count)]


def handled(hand: Hand, count: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return len(hand.handled) >= count

    return enough


async def letters(replayer: Bus) -> list[Any]:
    found, after = [], 0
    while letter := await replayer.letter(after):
        found.append(letter)
        after = letter.id
    return found


async def test_what_a_handler_fails_on_is_buried_after_its_attempts_and_harms_nobody_else(
    lossy_bus: LossyBus, hand: Hand, meter: Meter, gateway: Bus, replayer: Bus
) -> None:
    events = some_events(3)
    poison = events[1]["event_id"]
    hand.fail = lambda event: KeyError("no such member") if event["event_id"] == poison else None
    await gateway.publish_batch(events)
    async with reading(lossy_bus, hand, meter):
        await until(handled(hand, 2))

        async def buried() -> bool:
            return await replayer.letter(0) is not None

        await until(buried)
    assert hand.handled == [events[0]["event_id"], events[2]["event_id"]]
    [letter] = await letters(replayer)
    assert letter.reason == "failed 3 times: KeyError: 'no such member'"
    assert (letter.subject, letter.consumer) == ("gateway.decided", "recorder")
    assert orjson.loads(letter.data) == events[1]
    assert letter.headers["ce-id"] == poison
    assert meter.buried.value("recorder") == 1
    assert meter.taken.value("recorder", "gateway.decided") == 2


async def test_an_event_that_fails_for_a_while_is_handled_in_its_place(
    lossy_bus: LossyBus, hand: Hand, meter: Meter, gateway: Bus, replayer: Bus
) -> None:
    events = some_events(3)
    hand.fail = lambda _: ValueError("not yet") if hand.attempts < 3 else None
    await gateway.publish_batch(events)
    async with reading(lossy_bus, hand, meter):
        await until(handled(hand, 3))
    assert hand.handled == [event["event_id"] for event in events]
    assert await letters(replayer) == []


@pytest.mark.requirement("EVT-03")
async def test_while_what_it_needs_is_away_nothing_newer_comes_first(
    lossy_bus: LossyBus, hand: Hand, meter: Meter, gateway: Bus, replayer: Bus
) -> None:
    events = some_events(4)
    hand.fail = lambda _: DatabaseUnavailable("away") if hand.attempts < 10 else None
    await gateway.publish_batch(events[:2])
    async with reading(lossy_bus, hand, meter):
        await gateway.publish_batch(events[2:])
        await until(handled(hand, 4))
    assert hand.handled == [event["event_id"] for event in events]
    assert await letters(replayer) == []


async def test_what_was_taken_and_not_acknowledged_comes_again_before_anything_newer(
    lossy_bus: LossyBus, hand: Hand, meter: Meter, gateway: Bus
) -> None:
    events = some_events(3)
    await gateway.publish_batch(events[:2])
    crashed = await Bus.connect(lossy_bus.address("control"))
    taken = await (await crashed.consumer("recorder")).fetch(16, 1)
    assert len(taken) == 2
    await crashed.close()
    await gateway.publish(events[2])
    async with reading(lossy_bus, hand, meter):
        await until(handled(hand, 3))
    assert hand.handled == [event["event_id"] for event in events]


async def test_what_hurts_every_event_is_no_events_fault(
    lossy_bus: LossyBus, hand: Hand, meter: Meter, gateway: Bus, replayer: Bus
) -> None:
    died = asyncio.Event()
    hand.fail = lambda _: asyncpg.UndefinedTableError("no such table")
    await gateway.publish_batch(some_events(2))
    reader = Reader(hand, lambda: Bus.connect(lossy_bus.address("control")), StreamLimits(), PACE, meter)
    reader.start(died.set)
    async with asyncio.timeout(10):
        await died.wait()
    with pytest.raises(asyncpg.UndefinedTableError):
        await reader.stop()
    assert await letters(replayer) == []


async def test_a_letter_is_replayed_to_whoever_failed_and_is_in_the_stream_once(
    lossy_bus: LossyBus, hand: Hand, meter: Meter, gateway: Bus, replayer: Bus
) -> None:
    [event] = some_events(1)
    hand.fail = lambda _: ValueError("a fault of ours")
    await gateway.publish(event)
    async with reading(lossy_bus, hand, meter):

        async def buried() -> bool:
            return bool(await letters(replayer))

        await until(buried)
        [letter] = await letters(replayer)
        hand.fail = lambda _: None
        await replayer.replay(letter)
        await until(handled(hand, 1))
    assert hand.handled == [event["event_id"]]
    assert await letters(replayer) == []
    before = await replayer.position()
    with pytest.raises(BusUnavailable):
        await replayer.replay(letter)  # it is put away, and the stream knows its id
    assert (await replayer.position()).last_seq == before.last_seq


async def test_a_letter_that_fails_again_is_buried_again(
    lossy_bus: LossyBus, hand: Hand, meter: Meter, gateway: Bus, replayer: Bus
) -> None:
    [event] = some_events(1)
    hand.fail = lambda _: ValueError("still")
    await gateway.publish(event)
    async with reading(lossy_bus, hand, meter):

        async def buried_after(place: int) -> bool:
            return await replayer.letter(place) is not None

        await until(lambda: buried_after(0))
        [first] = await letters(replayer)
        await replayer.replay(first)
        await until(lambda: buried_after(first.id))
    [second] = await letters(replayer)
    assert (second.subject, second.data) == (first.subject, first.data)


async def test_events_can_be_looked_at_in_their_order(
    lossy_bus: LossyBus, gateway: Bus, replayer: Bus
) -> None:
    events = some_events(2)
    await gateway.publish_batch(events)
    first = await replayer.kept(0)
    assert first is not None
    second = await replayer.kept(first[0])
    assert second is not None
    assert [orjson.loads(body) for _, body in (first, second)] == events
    assert await replayer.kept(second[0]) is None


async def test_without_a_bus_nothing_is_read_or_replayed(lossy_bus: LossyBus, gateway: Bus) -> None:
    replayer = await Bus.connect(lossy_bus.address("replayer"))
    lossy_bus.kill()
    with pytest.raises(BusUnavailable):
        await replayer.letter(0)
    await replayer.close()
    lossy_bus.start()


@pytest.mark.requirement("TRE-17")
@pytest.mark.parametrize("busy", [False, True])
async def test_a_connection_whose_server_is_gone_closes(
    lossy_bus: LossyBus, gateway: Bus, busy: bool
) -> None:
    """Whenever the server went away: before anything was said, or within it."""
    bus = await Bus.connect(lossy_bus.address("gateway"))
    publishing = asyncio.create_task(bus.publish_batch(some_events(500 if busy else 1)))
    await asyncio.sleep(0)
    lossy_bus.kill()
    await bus.close()
    await asyncio.gather(publishing, return_exceptions=True)
    lossy_bus.start()
