"""Ships the journal to the event stream: one task a worker, behind the calls and never in their way.

Records go in the order of the journal, a batch at a time, and the journal remembers the last one only after
the stream has acknowledged it: at least once, with the record's own id as message id, so that what is sent
again after a crash is kept once. While the bus is away records wait in the journal and the task asks again
after a pause. A stream that has lost its storage since gets every record again that the journal still has.

Two kinds of records cannot go as they are, both made by whoever called: too large for the bus, or holding
texts longer than the schemas allow. Their texts are cut to `TEXT_CHARS_MAX`; what still holds under no schema
stays in the journal alone, is counted and said in the log, and does not stop what comes after it.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from adapters.background import rest
from adapters.metrics import Metrics
from adapters.nats import Bus, BusUnavailable
from adapters.stream_position import StreamPosition
from adapters.telemetry import logger
from schemas.events.registry import Event, EventRefused, event

RECORD_BYTES_MAX: Final = 262_144
TEXT_CHARS_MAX: Final = 200

_log = logger("shipper")


class Row(Protocol):
    """A record of the journal: its place, its event's id, `decided` or `completed`, and its bytes as JSON."""

    @property
    def seq(self) -> int: ...
    @property
    def event_id(self) -> str: ...
    @property
    def event(self) -> str: ...
    @property
    def record(self) -> dict[str, Any]: ...
    @property
    def size(self) -> int: ...


class Records(Protocol):
    """What of the journal is shipped."""

    async def unshipped(self, limit: int) -> Sequence[Row]: ...
    async def mark_shipped(self, seq: int, position: StreamPosition) -> None: ...
    async def seen_position(self) -> StreamPosition | None: ...
    async def ship_again(self, position: StreamPosition) -> None: ...


class Pace(NamedTuple):
    """How much goes at once, how long an empty journal is left alone, and the pause after a failure."""

    batch_max: int = 256
    idle_s: float = 0.2
    retry_s: float = 1.0


class Shipper:
    """`start` and `stop` it with the worker. `connect` makes a connection to the bus, or fails."""

    def __init__(
        self, records: Records, connect: Callable[[], Awaitable[Bus]], metrics: Metrics, pace: Pace
    ) -> None:
        self._records = records
        self._connect = connect
        self._pace = pace
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._bus: Bus | None = None
        self._seen: StreamPosition | None = None
        self._shipped = metrics.counter("tollhouse_gateway_shipped_records", "Records that the stream has.")
        self._kept_back = metrics.counter(
            "tollhouse_gateway_unshippable_records", "Records that no schema allows; in the journal alone."
        )

    def start(self) -> None:
        """Begin to ship, from the first record that the stream has not acknowledged."""
        self._task = asyncio.create_task(self._run(), name="shipper")

    async def stop(self) -> None:
        """Finish the batch under way and one more look at the journal, then hang up."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            last_round = False
            while not last_round:
                last_round = self._stopping.is_set()
                await rest(self._stopping, await self._round())
        finally:
            if self._bus is not None:
                await self._bus.close()

    async def _round(self) -> float:
        """Ship what is there; the seconds until the next look."""
        try:
            self._bus = self._bus or await self._connect()
            before = await self._look(self._bus)
            while await self._ship(self._bus, before):
                pass
        except (BusUnavailable, sqlite3.Error) as error:
            _log.warning("shipping_waits", why=str(error))
            return self._pace.retry_s
        except Exception:  # noqa: BLE001 - said, and tried again
            _log.exception("shipping_broke")
            return self._pace.retry_s
        return self._pace.idle_s

    async def _look(self, bus: Bus) -> StreamPosition:
        """Where the stream stands; what it may lack is unshipped again."""
        now = await bus.position()
        seen = self._seen or await self._records.seen_position()
        if seen is None or now.may_lack(seen):
            _log.warning("shipping_all", stream_created=now.created.isoformat())
            await self._records.ship_again(now)
        self._seen = now
        return now

    async def _ship(self, bus: Bus, before: StreamPosition) -> bool:
        """One batch; whether there may be more. Raises `BusUnavailable` when not all of it was taken."""
        rows = await self._records.unshipped(self._pace.batch_max)
        if not rows:
            return False
        events = [(row.seq, self._event(row)) for row in rows]
        sendable = [made for _, made in events if made is not None]
        kept = await bus.publish_batch(sendable)
        after = await bus.position()
        if after.may_lack(before):
            raise BusUnavailable("the stream lost its storage while it was shipped to")
        self._seen = after
        self._shipped.count(by=kept)
        if kept == len(sendable):
            await self._records.mark_shipped(rows[-1].seq, after)
            return len(rows) == self._pace.batch_max
        if kept:
            taken = [seq for seq, made in events if made is not None][kept - 1]
            await self._records.mark_shipped(taken, after)
        raise BusUnavailable(f"{len(sendable) - kept} records were not acknowledged")

    def _event(self, row: Row) -> Event | None:
        try:
            return _event(row)
        except (ValueError, KeyError) as error:
            self._kept_back.count()
            _log.error("record_unshippable", seq=row.seq, event_id=row.event_id, why=str(error))
            return None


def _event(row: Row) -> Event:
    """The event of a record, abridged where it must be. Raises `EventRefused`."""
    if row.size > RECORD_BYTES_MAX:
        return _enveloped(row, _abridged(row.record))
    try:
        return _enveloped(row, row.record)
    except EventRefused:
        return _enveloped(row, _abridged(row.record))


def _enveloped(row: Row, record: dict[str, Any]) -> Event:
    return event(
        f"gateway.{row.event}",
        record,
        tenant=record["tenant"],
        workflow_id=record["workflow_id"],
        correlation_id=record["correlation_id"],
        occurred_at=record["at"],
        event_id=row.event_id,
    )


def _abridged(value: Any) -> Any:
    """The same document with every text cut and every list shortened."""
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    if isinstance(value, dict):
        return {name[:TEXT_CHARS_MAX]: _abridged(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_abridged(member) for member in value[:100]]
    return value
