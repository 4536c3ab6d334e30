"""The relay: a process of its own that publishes what the outbox holds, within a second of its commit.

It asks the outbox ten times a second, publishes each workflow's events in the order of their commits with the
event's id as message id, and marks what the stream has acknowledged. Whatever fails is tried again: an event
is published at least once, and the stream keeps it once. Each time it first looks where the stream stands:
what it lost of what was published to it, it gets again. On SIGTERM it finishes the batch under way.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from adapters.nats import Bus, BusAddress, BusUnavailable
from adapters.postgres import Database, DatabaseUnavailable
from adapters.stream_position import StreamPosition
from adapters.telemetry import configure_logging, logger
from schemas.events.registry import Event
from treasury.config import RelaySettings
from treasury.edge.outbox import in_waves, mark_published, publish_again, seen_position, unpublished

log = logger("relay")

Connect = Callable[[], Awaitable[Bus]]


class Relay:
    """Carries events from one database to one bus, until `stop` is set."""

    def __init__(self, database: Database, connect: Connect, settings: RelaySettings) -> None:
        self._database = database
        self._connect = connect
        self._settings = settings
        self._bus: Bus | None = None
        self._seen: StreamPosition | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`; what cannot be reached is tried again after `retry_ms`."""
        try:
            while not stop.is_set():
                await _wait(stop, await self._round())
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        if self._bus is not None:
            await self._bus.close()

    async def _round(self) -> int:
        """Publish one batch; how many milliseconds to wait before the next."""
        try:
            published = await self.publish()
        except (BusUnavailable, DatabaseUnavailable) as error:
            log.warning("relay_waits", reason=str(error))
            return self._settings.retry_ms
        return 0 if published else self._settings.poll_interval_ms

    async def publish(self) -> int:
        """Publish and mark one batch; how many events it was.

        Raises `BusUnavailable` or `DatabaseUnavailable`; what was not marked is published again.
        """
        if self._bus is None:
            self._bus = await self._connect()
        before = await self._look(self._bus)
        events = await unpublished(self._database, self._settings.batch_max)
        if not events:
            return 0
        kept = await self._send(self._bus, events)
        after = await self._bus.position()
        if after.may_lack(before):
            raise BusUnavailable("the stream lost its storage while it was published to")
        if kept:
            await mark_published(self._database, kept, after)
            self._seen = after
        if len(kept) < len(events):
            raise BusUnavailable(f"the bus kept {len(kept)} of {len(events)} events")
        return len(kept)

    async def _send(self, bus: Bus, events: list[Event]) -> list[Event]:
        """Publish wave by wave, to the first that the stream does not take whole; those that it took."""
        kept: list[Event] = []
        for wave in in_waves(events):
            taken = await bus.publish_batch(wave)
            kept += wave[:taken]
            if taken < len(wave):
                break
        return kept

    async def _look(self, bus: Bus) -> StreamPosition:
        """Where the stream stands; what it may lack is in the outbox again."""
        now = await bus.position()
        seen = self._seen or await seen_position(self._database)
        if seen is None or now.may_lack(seen):
            count = await publish_again(self._database, now, self._settings.republish_timeout_s)
            if count:
                log.warning("relay_publishes_again", events=count, stream_created=now.created.isoformat())
        self._seen = now
        return now


async def _wait(stop: asyncio.Event, pause_ms: int) -> None:
    try:
        async with asyncio.timeout(pause_ms / 1000):
            await stop.wait()
    except TimeoutError:
        return


async def run(settings: RelaySettings, stop: asyncio.Event) -> None:
    """Relay with these settings until `stop` is set."""
    database = await Database.open(
        settings.postgres_dsn_file.read_text("utf-8").strip(),
        application="tollhouse-relay",
        pool_size=1,
        connect_timeout_s=settings.postgres_connect_timeout_s,
        statement_timeout_ms=settings.postgres_statement_timeout_ms,
    )
    address = BusAddress(
        url=settings.nats_url,
        user=settings.nats_user,
        password=settings.nats_password_file.read_text("utf-8").strip(),
        connect_timeout_s=settings.nats_connect_timeout_s,
        ack_timeout_s=settings.nats_ack_timeout_s,
    )
    try:
        await Relay(database, lambda: Bus.connect(address), settings).run(stop)
    finally:
        await database.close()


def serve(settings: RelaySettings) -> None:
    """Relay until SIGTERM or SIGINT, then finish the batch under way."""
    configure_logging("relay", settings.log_level)
    asyncio.run(_until_signalled(settings))


async def _until_signalled(settings: RelaySettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop)
