"""The bus loses its storage, or is away: every event comes to be in the stream again, in its order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from adapters.nats import Bus, BusUnavailable
from adapters.postgres import Database
from tests.fixtures.bus import LossyBus, make_streams, told
from tests.fixtures.treasury import Spend, Treasury
from treasury.config import RelaySettings
from treasury.relay import Relay

pytestmark = pytest.mark.requirement("TRE-17")

WITHIN_S = 30


@pytest.fixture
def settings(treasury_service: Treasury, lossy_bus: LossyBus) -> RelaySettings:
    unread = treasury_service.settings.postgres_dsn_file
    return RelaySettings(
        postgres_dsn_file=unread,
        nats_url=lossy_bus.address("relay").url,
        nats_password_file=unread,
        retry_ms=10,
        poll_interval_ms=10,
        batch_max=3,
    )


@pytest.fixture
async def database(treasury_service: Treasury) -> AsyncIterator[Database]:
    database = await Database.open(treasury_service.database.relay, application="test", pool_size=2)
    yield database
    await database.close()


@pytest.fixture
async def relaying(
    database: Database, lossy_bus: LossyBus, settings: RelaySettings
) -> AsyncIterator[asyncio.Task[None]]:
    """A relay at work on a bus that has its streams."""
    await make_streams(lossy_bus.address("control"))
    stop = asyncio.Event()
    relay = Relay(database, lambda: Bus.connect(lossy_bus.address("relay")), settings)
    task = asyncio.create_task(relay.run(stop))
    yield task
    stop.set()
    await task


async def outbox(treasury: Treasury) -> list[str]:
    """The ids of all events, in the order of their commits."""
    rows = await treasury.sql("SELECT event_id FROM treasury.outbox ORDER BY recorded_at, ordinal")
    return [str(row["event_id"]) for row in rows]


async def spend_thrice(treasury: Treasury) -> None:
    for _ in range(3):
        spend = Spend()
        await treasury.gateway.spend(spend)
        await treasury.gateway.execute(spend)


async def all_published(treasury: Treasury) -> None:
    async def none_waits() -> bool:
        return not await treasury.sql("SELECT 1 FROM treasury.outbox WHERE published_at IS NULL")

    await until(none_waits)


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await ask():
            await asyncio.sleep(0.01)


async def test_storage_that_was_lost_is_filled_again(
    treasury_service: Treasury, lossy_bus: LossyBus, relaying: asyncio.Task[None]
) -> None:
    await spend_thrice(treasury_service)
    await all_published(treasury_service)
    lossy_bus.kill()
    lossy_bus.lose_storage()
    await spend_thrice(treasury_service)
    lossy_bus.start()
    await make_streams(lossy_bus.address("control"))
    ids = await outbox(treasury_service)
    assert len(ids) == 18
    assert [event["event_id"] for event in await told(lossy_bus, set(ids))] == ids
    await all_published(treasury_service)


async def test_storage_that_went_back_to_an_older_copy_is_filled_again(
    treasury_service: Treasury, lossy_bus: LossyBus, relaying: asyncio.Task[None]
) -> None:
    await spend_thrice(treasury_service)
    await all_published(treasury_service)
    lossy_bus.kill()
    lossy_bus.keep_copy()
    lossy_bus.start()
    await spend_thrice(treasury_service)
    await all_published(treasury_service)
    lossy_bus.kill()
    lossy_bus.take_copy_back()
    lossy_bus.start()
    ids = await outbox(treasury_service)
    events = [event["event_id"] for event in await told(lossy_bus, set(ids))]
    assert sorted(set(events)) == sorted(ids)
    assert list(dict.fromkeys(events)) == ids


async def test_a_bus_that_was_away_gets_what_happened_meanwhile_once(
    treasury_service: Treasury, lossy_bus: LossyBus, relaying: asyncio.Task[None]
) -> None:
    await spend_thrice(treasury_service)
    await all_published(treasury_service)
    lossy_bus.kill()
    await spend_thrice(treasury_service)
    lossy_bus.start()
    await all_published(treasury_service)
    ids = await outbox(treasury_service)
    assert [event["event_id"] for event in await told(lossy_bus, set(ids))] == ids


async def test_a_relay_that_was_down_meanwhile_finds_out(
    treasury_service: Treasury, database: Database, lossy_bus: LossyBus, settings: RelaySettings
) -> None:
    async def connect() -> Bus:
        return await Bus.connect(lossy_bus.address("relay"))

    async def publish_all() -> None:
        relay, stop = Relay(database, connect, settings), asyncio.Event()
        while await relay.publish():
            pass
        stop.set()
        await relay.run(stop)

    await make_streams(lossy_bus.address("control"))
    await spend_thrice(treasury_service)
    await publish_all()
    lossy_bus.kill()
    lossy_bus.lose_storage()
    lossy_bus.start()
    await make_streams(lossy_bus.address("control"))
    await publish_all()
    ids = await outbox(treasury_service)
    assert [event["event_id"] for event in await told(lossy_bus, set(ids))] == ids


async def test_what_the_stream_no_longer_keeps_is_not_told_again(
    treasury_service: Treasury, lossy_bus: LossyBus, relaying: asyncio.Task[None]
) -> None:
    await spend_thrice(treasury_service)
    await all_published(treasury_service)
    old = await outbox(treasury_service)
    lossy_bus.kill()
    await treasury_service.sql("UPDATE treasury.outbox SET published_at = published_at - interval '31 days'")
    lossy_bus.lose_storage()
    await spend_thrice(treasury_service)
    lossy_bus.start()
    await make_streams(lossy_bus.address("control"))
    new = set(await outbox(treasury_service)) - set(old)
    assert {event["event_id"] for event in await told(lossy_bus, new)} == new


async def test_a_stream_lost_while_it_is_published_to_is_not_believed(
    treasury_service: Treasury, database: Database, lossy_bus: LossyBus, settings: RelaySettings
) -> None:
    class Forgetful(Bus):
        """Its stream is made anew between the publish and the mark."""

        async def publish_batch(self, events: Any) -> int:
            kept = await super().publish_batch(events)
            lossy_bus.kill()
            lossy_bus.lose_storage()
            lossy_bus.start()
            await make_streams(lossy_bus.address("control"))
            return kept

    await make_streams(lossy_bus.address("control"))
    await spend_thrice(treasury_service)
    relay = Relay(database, lambda: Forgetful.connect(lossy_bus.address("relay")), settings)
    with pytest.raises(BusUnavailable):
        async with asyncio.timeout(WITHIN_S):
            await relay.publish()
    assert await treasury_service.sql("SELECT 1 FROM treasury.outbox WHERE published_at IS NOT NULL") == []
    stop = asyncio.Event()
    stop.set()
    await relay.run(stop)
