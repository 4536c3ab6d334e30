"""The journal reaches the event stream: whole, in order, once, and whatever happens to the bus."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from adapters.metrics import Metrics
from adapters.nats import Bus, BusAddress
from adapters.nats_permissions import DEAD_LETTERS_STREAM, EVENTS_STREAM
from adapters.stream_position import StreamPosition
from gateway.core.record import Entry
from gateway.edge.journal import Journal
from gateway.edge.shipper import Pace, Shipper
from schemas.events.registry import Event, validate
from schemas.ids import new_id
from tests.fixtures.bus import LossyBus
from tests.fixtures.events import completed, decided
from tests.fixtures.servers import NATS_PASSWORDS, NatsServer, running
from tollhouse.local.nats import Nats, service_users
from tollhouse.local.ports import free_port

PACE = Pace(batch_max=4, idle_s=0.02, retry_s=0.05)
READ_WITHIN_S = 30.0


def address(port: int, identity: str) -> BusAddress:
    return BusAddress(
        f"nats://127.0.0.1:{port}",
        identity,
        NATS_PASSWORDS[identity],
        connect_timeout_s=1,
        ack_timeout_s=1,
        reconnect_wait_s=0.05,
    )


@pytest.fixture
def port(nats: NatsServer) -> int:
    found = urlsplit(nats.url).port
    assert found
    return found


@pytest.fixture
async def control(port: int) -> AsyncIterator[Bus]:
    bus = await Bus.connect(address(port, "control"))
    await bus.ensure_streams()
    yield bus
    await bus.close()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path, sync="os", timeout_s=5, queue_max=1000)
    journal.open()
    yield journal
    await journal.aclose()


def shipper(journal: Journal, port: int, metrics: Metrics | None = None) -> Shipper:
    async def connect() -> Bus:
        return await Bus.connect(address(port, "gateway"))

    return Shipper(journal, connect, metrics or Metrics(), PACE)


async def write(journal: Journal, kind: Any, record: dict[str, Any]) -> None:
    await journal.append(Entry(record["decision_id"], kind, orjson.dumps(record)))


async def told(bus: Bus, tenant: str, count: int) -> list[dict[str, Any]]:
    """The first `count` events of the tenant in the stream, and whatever came with the last of them."""
    consumer = await bus.consumer(f"reader-{new_id()}")
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(READ_WITHIN_S):
        while len(found) < count:
            messages = await consumer.fetch(256, 0.2)
            found += [orjson.loads(m.data) for m in messages if m.data.startswith(b'{"event_id"')]
            await consumer.acknowledge(messages)
            found = [event for event in found if event["tenant"] == tenant]
    return found


@pytest.mark.requirement("EVT-01")
async def test_records_become_valid_events_in_the_order_of_the_journal(
    journal: Journal, control: Bus, port: int
) -> None:
    tenant = new_id()
    records = [decided(tenant) for _ in range(10)]
    shipping = shipper(journal, port)
    shipping.start()
    for record in records:
        await write(journal, "decided", record)
        await write(journal, "completed", completed(record))
    events = await told(control, tenant, 20)
    await shipping.stop()
    for event in events:
        validate(event)
    assert [(event["event_type"], event["payload"]["decision_id"]) for event in events] == [
        (kind, record["decision_id"])
        for record in records
        for kind in ("gateway.decided", "gateway.completed")
    ]
    assert await journal.unshipped(10) == []


@pytest.mark.requirement("AUD-01")
async def test_what_was_sent_and_not_remembered_is_kept_once(
    journal: Journal, control: Bus, port: int
) -> None:
    class Forgetful:
        """A journal whose process dies between the stream's acknowledgement and its own mark."""

        unshipped = staticmethod(journal.unshipped)
        seen_position = staticmethod(journal.seen_position)
        ship_again = staticmethod(journal.ship_again)

        async def mark_shipped(self, seq: int, position: StreamPosition) -> None:
            raise asyncio.CancelledError

    tenant = new_id()
    await write(journal, "decided", decided(tenant))
    doomed = shipper(journal, port)
    doomed._records = Forgetful()
    doomed.start()
    with pytest.raises(asyncio.CancelledError):
        await doomed.stop()
    await write(journal, "decided", decided(tenant))
    again = shipper(journal, port)
    again.start()
    await again.stop()
    assert len(await told(control, tenant, 2)) == 2


@pytest.mark.requirement("GW-19")
async def test_whatever_breaks_is_tried_again(journal: Journal, control: Bus, port: int) -> None:
    class Clumsy:
        """A journal that cannot be read at first, for no reason that anybody thought of."""

        mark_shipped = staticmethod(journal.mark_shipped)
        seen_position = staticmethod(journal.seen_position)
        ship_again = staticmethod(journal.ship_again)
        faults = 2

        async def unshipped(self, limit: int) -> Sequence[Any]:
            if self.faults:
                self.faults -= 1
                raise RuntimeError("no reason")
            return await journal.unshipped(limit)

    tenant = new_id()
    await write(journal, "decided", decided(tenant))
    shipping = shipper(journal, port)
    shipping._records = Clumsy()
    shipping.start()
    assert len(await told(control, tenant, 1)) == 1
    await shipping.stop()


async def test_stopping_ships_what_is_there(journal: Journal, control: Bus, port: int) -> None:
    tenant = new_id()
    for _ in range(9):
        await write(journal, "decided", decided(tenant))
    shipping = shipper(journal, port)
    shipping.start()
    await shipping.stop()
    assert await journal.unshipped(10) == []
    assert len(await told(control, tenant, 9)) == 9


@pytest.mark.requirement("AUD-02")
async def test_texts_of_a_caller_are_cut_rather_than_lost(journal: Journal, control: Bus, port: int) -> None:
    tenant = new_id()
    huge = {"kind": "tool_call", "name": "bank." + "x" * 1_500_000}
    await write(journal, "decided", decided(tenant, action=huge, allow=False))
    await write(journal, "decided", decided(tenant, workflow_id="w" * 5_000))
    shipping = shipper(journal, port)
    shipping.start()
    first, second = await told(control, tenant, 2)
    await shipping.stop()
    assert first["payload"]["action"]["name"] == "bank." + "x" * 195
    assert second["workflow_id"] == "w" * 200


async def test_a_record_that_no_schema_knows_does_not_stop_the_next(
    journal: Journal, control: Bus, port: int
) -> None:
    tenant, metrics = new_id(), Metrics()
    await write(journal, "decided", decided(tenant, colour="red"))
    await write(journal, "decided", decided(tenant))
    shipping = shipper(journal, port, metrics)
    shipping.start()
    events = await told(control, tenant, 1)
    await shipping.stop()
    assert len(events) == 1
    assert b"tollhouse_gateway_unshippable_records_total 1.0" in metrics.text()
    assert await journal.unshipped(10) == []


@pytest.mark.requirement("AUD-01")
async def test_the_bus_may_come_late_and_go_and_come_back(journal: Journal, servers_folder: Path) -> None:
    folder = servers_folder / f"nats-{new_id()}"
    server = Nats(folder, folder / "nats.log", free_port(), service_users(NATS_PASSWORDS))
    tenant = new_id()
    shipping = shipper(journal, server.port)
    shipping.start()
    await write(journal, "decided", decided(tenant))
    with running(server.prepare(), server.is_ready):
        control = await Bus.connect(address(server.port, "control"))
        await control.ensure_streams()
        await told(control, tenant, 1)
        await control.close()
    await write(journal, "decided", decided(tenant))
    assert len(await journal.unshipped(10)) == 1
    with running(server.prepare(), server.is_ready):
        control = await Bus.connect(address(server.port, "control"))
        assert len(await told(control, tenant, 2)) == 2
        await control.close()
        await shipping.stop()
    assert await journal.unshipped(10) == []


@pytest.mark.requirement("AUD-01")
async def test_a_stream_that_lost_its_storage_is_filled_again(journal: Journal, lossy_bus: LossyBus) -> None:
    tenant = new_id()
    await make_streams(lossy_bus)
    shipping = shipper(journal, lossy_bus.server.port)
    shipping.start()
    records = [decided(tenant) for _ in range(10)]
    for record in records[:7]:
        await write(journal, "decided", record)
    await all_shipped(journal)
    lossy_bus.kill()
    lossy_bus.lose_storage()
    for record in records[7:]:
        await write(journal, "decided", record)
    lossy_bus.start()
    control = await make_streams(lossy_bus)
    events = await told(control, tenant, 10)
    await control.close()
    await shipping.stop()
    assert [event["payload"]["decision_id"] for event in events] == [r["decision_id"] for r in records]
    assert await journal.unshipped(10) == []


async def make_streams(lossy_bus: LossyBus) -> Bus:
    bus = await Bus.connect(lossy_bus.address("control"))
    await bus.ensure_streams()
    return bus


async def all_shipped(journal: Journal) -> None:
    async with asyncio.timeout(READ_WITHIN_S):
        while await journal.unshipped(1):
            await asyncio.sleep(0.01)


@pytest.mark.requirement("AUD-01")
async def test_a_stream_lost_while_it_is_shipped_to_is_not_believed(
    journal: Journal, lossy_bus: LossyBus
) -> None:
    tenant, losses = new_id(), [1]

    class Losing(Bus):
        """Its stream is made anew after the first batch was kept, before that is remembered."""

        async def publish_batch(self, events: Sequence[Event]) -> int:
            kept = await super().publish_batch(events)
            if losses:
                losses.pop()
                lossy_bus.kill()
                lossy_bus.lose_storage()
                lossy_bus.start()
                await (await make_streams(lossy_bus)).close()
            return kept

    async def connect() -> Bus:
        return await Losing.connect(lossy_bus.address("gateway"))

    control = await make_streams(lossy_bus)
    for _ in range(3):
        await write(journal, "decided", decided(tenant))
    shipping = Shipper(journal, connect, Metrics(), PACE)
    shipping.start()
    await all_shipped(journal)
    await shipping.stop()
    assert len(await told(control, tenant, 3)) == 3
    await control.close()


async def test_stopping_without_a_bus_ends(journal: Journal) -> None:
    await write(journal, "decided", decided())
    shipping = shipper(journal, 9)
    shipping.start()
    await shipping.stop()
    assert len(await journal.unshipped(10)) == 1


def test_the_streams_have_the_names_that_users_know() -> None:
    assert (EVENTS_STREAM, DEAD_LETTERS_STREAM) == ("TOLLHOUSE_EVENTS", "DEAD_LETTERS")
