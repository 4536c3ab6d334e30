"""The outbox reaches the bus: in order, soon, once in the stream, whatever goes away meanwhile."""

import asyncio
import contextlib
import re
import statistics
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats as nats_client
import orjson
import pytest

from adapters.nats import Bus, BusAddress, BusUnavailable
from adapters.nats_permissions import EVENTS_STREAM
from adapters.postgres import Database
from tests.fixtures.servers import NATS_PASSWORDS, NatsServer
from tests.fixtures.treasury import Spend, Treasury
from treasury.config import RelaySettings
from treasury.edge.outbox import unpublished
from treasury.relay import Relay, run

pytestmark = pytest.mark.requirement("TRE-17")


@pytest.fixture
async def stream(nats: NatsServer) -> AsyncIterator[Any]:
    """The stream of events, and nothing in it."""
    bus = await Bus.connect(address(nats, "control"))
    await bus.ensure_streams()
    await bus.close()
    client = await nats_client.connect(nats.url)
    jetstream = client.jetstream()
    await jetstream.purge_stream(EVENTS_STREAM)
    yield jetstream
    await client.close()


def address(nats: NatsServer, user: Any) -> BusAddress:
    return BusAddress(nats.url, user, NATS_PASSWORDS[user], ack_timeout_s=2)


@pytest.fixture
def settings(treasury_service: Treasury, nats: NatsServer, tmp_path: Path) -> RelaySettings:
    (tmp_path / "relay.dsn").write_text(treasury_service.database.relay)
    (tmp_path / "relay.password").write_text(NATS_PASSWORDS["relay"])
    return RelaySettings(
        postgres_dsn_file=tmp_path / "relay.dsn",
        nats_url=nats.url,
        nats_password_file=tmp_path / "relay.password",
        retry_ms=10,
        batch_max=2,
    )


@contextlib.asynccontextmanager
async def running(settings: RelaySettings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    relaying = asyncio.create_task(run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await relaying


async def heard(stream: Any, count: int) -> list[dict[str, Any]]:
    subscription = await stream.subscribe("treasury.>", ordered_consumer=True)
    events = [orjson.loads((await subscription.next_msg(timeout=5)).data) for _ in range(count)]
    await subscription.unsubscribe()
    return events


@pytest.mark.requirement("EVT-03")
async def test_events_come_in_the_order_of_commits(
    treasury_service: Treasury, settings: RelaySettings, stream: Any
) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    async with running(settings):
        await gateway.spend(spend)
        await gateway.execute(spend)
        events = await heard(stream, 3)
    assert [event["event_type"] for event in events] == [
        "treasury.intent_created",
        "treasury.authorized",
        "treasury.executed",
    ]
    assert {event["workflow_id"] for event in events} == {spend.workflow_id}


async def test_what_was_published_but_not_marked_is_in_the_stream_once(
    treasury_service: Treasury, settings: RelaySettings, stream: Any
) -> None:
    await treasury_service.gateway.spend(Spend())
    async with running(settings):
        await heard(stream, 2)
    await treasury_service.sql("UPDATE treasury.outbox SET published_at = NULL")
    database = await Database.open(treasury_service.database.relay, application="test", pool_size=1)
    async with running(settings), asyncio.timeout(5):
        while await unpublished(database, 10):
            await asyncio.sleep(0.01)
    await database.close()
    assert (await stream.stream_info(EVENTS_STREAM)).state.messages == 2


async def test_it_waits_for_a_bus_that_is_away(
    treasury_service: Treasury, settings: RelaySettings, nats: NatsServer, stream: Any
) -> None:
    tries: list[int] = []

    async def connect() -> Bus:
        tries.append(1)
        if len(tries) < 3:
            raise BusUnavailable("away")
        return await Bus.connect(address(nats, "relay"))

    await treasury_service.gateway.spend(Spend())
    database = await Database.open(treasury_service.database.relay, application="test", pool_size=1)
    stop = asyncio.Event()
    relaying = asyncio.create_task(Relay(database, connect, settings).run(stop))
    assert len(await heard(stream, 2)) == 2
    stop.set()
    await relaying
    await database.close()
    assert len(tries) == 3


async def test_what_the_stream_did_not_keep_stays_in_the_outbox(
    treasury_service: Treasury, settings: RelaySettings, nats: NatsServer, stream: Any
) -> None:
    await treasury_service.gateway.spend(Spend())
    database = await Database.open(treasury_service.database.relay, application="test", pool_size=1)
    relay = Relay(database, lambda: Bus.connect(address(nats, "relay")), settings)
    config = (await stream.stream_info(EVENTS_STREAM)).config
    await stream.update_stream(config.evolve(max_msg_size=64))
    with pytest.raises(BusUnavailable, match="kept 0 of 2"):
        await relay.publish()
    await stream.delete_stream(EVENTS_STREAM)
    with pytest.raises(BusUnavailable, match="NotFoundError"):
        await relay.publish()
    assert len(await unpublished(database, 10)) == 2
    bus = await Bus.connect(address(nats, "control"))
    await bus.ensure_streams()
    await bus.close()
    assert await relay.publish() == 2
    assert await relay.publish() == 0
    stop = asyncio.Event()
    stop.set()
    await relay.run(stop)
    await database.close()


async def test_without_a_database_it_waits_and_stops_when_told(
    treasury_service: Treasury, settings: RelaySettings
) -> None:
    settings.postgres_dsn_file.write_text("postgresql://nobody@127.0.0.1:1/x")
    async with running(settings):
        await asyncio.sleep(0)


async def test_without_a_bus_it_waits_and_stops_when_told(settings: RelaySettings) -> None:
    async with running(settings.model_copy(update={"nats_url": "nats://127.0.0.1:9"})):
        await asyncio.sleep(0)


async def test_an_event_is_in_the_stream_within_a_second_of_its_commit(
    treasury_service: Treasury, settings: RelaySettings, stream: Any
) -> None:
    """By the clocks of database and bus, which are one machine's; the median, since tests share it."""
    own = settings.model_copy(update={"batch_max": 200})
    async with running(own):
        for _ in range(30):
            await treasury_service.gateway.spend(Spend())
        subscription = await stream.subscribe("treasury.>", ordered_consumer=True)
        stored = {}
        for _ in range(60):
            message = await subscription.next_msg(timeout=10)
            stored[orjson.loads(message.data)["event_id"]] = message.metadata.timestamp
        await subscription.unsubscribe()
    rows = await treasury_service.sql("SELECT event_id, recorded_at FROM treasury.outbox")
    delays_s = [(stored[str(row["event_id"])] - row["recorded_at"]).total_seconds() for row in rows]
    assert statistics.median(delays_s) < 1
    assert max(delays_s) < 10


@pytest.mark.requirement("EVT-03")
async def test_a_refusal_half_way_turns_no_order_around(
    treasury_service: Treasury, settings: RelaySettings, nats: NatsServer, stream: Any
) -> None:
    """A stream that takes the small events of a workflow and not the large one before them."""
    gateway, spend = treasury_service.gateway, Spend()
    await gateway.spend(spend, reasons=[{"code": "within_daily_budget", "message": "x" * 1_500}])
    await gateway.execute(spend)
    own = settings.model_copy(update={"batch_max": 200})
    database = await Database.open(treasury_service.database.relay, application="test", pool_size=1)
    relay = Relay(database, lambda: Bus.connect(address(nats, "relay")), own)
    config = (await stream.stream_info(EVENTS_STREAM)).config
    await stream.update_stream(config.evolve(max_msg_size=2_000))
    with pytest.raises(BusUnavailable, match="kept 1 of 3"):
        await relay.publish()
    await stream.update_stream(config)
    while await relay.publish():
        pass
    stop = asyncio.Event()
    stop.set()
    await relay.run(stop)
    await database.close()
    assert [event["event_type"] for event in await heard(stream, 3)] == [
        "treasury.intent_created",
        "treasury.authorized",
        "treasury.executed",
    ]


@pytest.mark.requirement("OPS-03")
async def test_how_far_it_is_behind_is_measured_even_without_it(
    treasury_service: Treasury, settings: RelaySettings, stream: Any
) -> None:
    async def behind() -> tuple[float, float]:
        text = (await treasury_service.http.get("/metrics")).text
        found = dict(re.findall(r"^treasury_outbox_(\w+) (\S+)$", text, re.MULTILINE))
        return float(found["events"]), float(found["lag_seconds"])

    assert await behind() == (0, 0)
    await treasury_service.gateway.spend(Spend())
    await treasury_service.sql("UPDATE treasury.outbox SET recorded_at = recorded_at - interval '1 minute'")
    events, lag_s = await behind()
    assert events == 2
    assert 60 <= lag_s < 120
    async with running(settings), asyncio.timeout(10):
        while await behind() != (0, 0):
            await asyncio.sleep(0.01)
