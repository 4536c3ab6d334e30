"""A reader: a durable consumer of the event stream whose handler may be given the same event twice.

A message is acknowledged only after its handler is done with it, so whatever was under way when the reader
ended comes again, before anything newer; handlers know an event by its id. While what a handler needs is away
(PostgreSQL, OPA) it is asked again after a pause, with the same events, and the stream waits: order is kept.

Poison goes to the dead letters with the reason: a message that is no valid event, at once; one that the
handler fails on, after `attempts_max` attempts, the events around it left unharmed. What hurts every event
(a table that is not there, a right that is missing) is no event's fault and ends the whole process, so that
whoever supervises it starts it again.

When nothing comes the reader looks whether the stream is still the one that it reads: a stream whose storage
was lost is made anew, and those who published to it publish again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

import asyncpg
import orjson
from nats.aio.msg import Msg

from adapters.background import rest
from adapters.metrics import Metrics
from adapters.nats import Bus, BusUnavailable, Consumer, StreamLimits
from adapters.opa import OpaUnavailable
from adapters.postgres import DatabaseUnavailable
from adapters.telemetry import logger
from schemas.events.registry import Event, EventRefused, validate

_AWAY: Final = (BusUnavailable, DatabaseUnavailable, OpaUnavailable)

_BEHIND_S: Final = 0.02

_log = logger("reader")


class Pace(NamedTuple):
    """How much is taken at once, how long an empty stream is waited on, the pause after a failure, and how
    often a handler may fail on one event."""

    batch_max: int
    wait_s: float
    retry_s: float
    attempts_max: int


class Handler(Protocol):
    """What is done with events. `durable` names its place in the stream."""

    @property
    def durable(self) -> str: ...

    async def handle(self, events: Sequence[Event]) -> None:
        """All of them or none; those that were handled before change nothing."""


class Meter:
    """Counts what the readers of a service take and bury."""

    def __init__(self, metrics: Metrics) -> None:
        self.taken = metrics.counter("tollhouse_control_events", "Events handled.", ["reader", "type"])
        self.buried = metrics.counter("tollhouse_control_dead_letters", "Messages buried.", ["reader"])


class _Letter(NamedTuple):
    """A message and the event that it holds."""

    message: Msg
    event: Event


class Reader:
    """`start` and `stop` it with the service; `ready` while it reads the stream."""

    def __init__(
        self,
        handler: Handler,
        connect: Callable[[], Awaitable[Bus]],
        limits: StreamLimits,
        pace: Pace,
        meter: Meter,
        after: str | None = None,
    ) -> None:
        """`after` is the durable name of the reader that goes before this one, in whichever process."""
        self._handler = handler
        self._after = after
        self._connect = connect
        self._limits = limits
        self._pace = pace
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._bus: Bus | None = None
        self._reading = False
        self._caught_up = False
        self._made: datetime | None = None
        self._meter = meter

    @property
    def ready(self) -> bool:
        """Whether the streams are there and are being read."""
        return self._reading and self._bus is not None and self._bus.connected

    @property
    def caught_up(self) -> bool:
        """Whether all that stood in the stream at the last look was handled."""
        return self._caught_up

    def start(self, died: Callable[[], None]) -> None:
        """Begin to read, or go on where the last one stopped; `died` is called when it ends untold."""
        self._task = asyncio.create_task(self._run(), name=self._handler.durable)
        self._task.add_done_callback(lambda _: None if self._stopping.is_set() else died())

    async def stop(self) -> None:
        """Finish the batch under way and hang up. Raises what the reader died of, if it did."""
        self._stopping.set()
        try:
            if self._task is not None:
                await self._task
        finally:
            if self._bus is not None:
                await self._bus.close()

    async def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    await self._read(await self._open())
                except BusUnavailable as error:
                    await self._wait(error)
        except Exception:
            _log.exception("reader_died", reader=self._handler.durable)
            raise
        finally:
            self._reading = False

    async def _open(self) -> Consumer:
        self._bus = self._bus or await self._connect()
        await self._bus.ensure_streams(self._limits)
        self._made = (await self._bus.position()).created
        return await self._bus.consumer(self._handler.durable)

    async def _read(self, consumer: Consumer) -> None:
        self._reading = True
        try:
            while not self._stopping.is_set():
                messages = await consumer.fetch(self._pace.batch_max, self._pace.wait_s)
                if messages:
                    self._caught_up = False
                    await self._let_go_before(messages)
                    await self._take(messages, consumer)
                elif await self._is_another_stream():
                    return
                self._caught_up = len(messages) < self._pace.batch_max
        finally:
            self._reading = self._caught_up = False

    async def _let_go_before(self, messages: Sequence[Msg]) -> None:
        """Wait until the reader that goes before this one is done with all of them."""
        assert self._bus is not None, "messages came, so there is a bus"
        if self._after is None:
            return
        last = max(message.metadata.sequence.stream for message in messages)
        while not self._stopping.is_set() and await self._bus.acknowledged(self._after) < last:
            await rest(self._stopping, _BEHIND_S)

    async def _is_another_stream(self) -> bool:
        assert self._bus is not None, "there was a stream, so there is a bus"
        return (await self._bus.position()).created != self._made

    async def _take(self, messages: Sequence[Msg], consumer: Consumer) -> None:
        """Handle and acknowledge them, however long what is needed is away; told to stop, they come again."""
        letters = await self._opened(messages)
        while not self._stopping.is_set():
            try:
                await self._handle(letters)
                break
            except (DatabaseUnavailable, OpaUnavailable) as error:
                await self._wait(error)
        else:
            return
        await consumer.acknowledge(messages)

    async def _opened(self, messages: Sequence[Msg]) -> list[_Letter]:
        letters = []
        for message in messages:
            try:
                letters.append(_Letter(message, read(message.subject, message.data)))
            except EventRefused as refused:
                await self._bury(message, str(refused))
        return letters

    async def _handle(self, letters: Sequence[_Letter]) -> None:
        if not letters:
            return
        try:
            await self._handler.handle([letter.event for letter in letters])
        except Exception as error:
            if not _is_the_events_fault(error):
                raise
            for letter in letters:
                await self._handle_singly(letter)
        else:
            for letter in letters:
                self._meter.taken.count(self._handler.durable, letter.event["event_type"])

    async def _handle_singly(self, letter: _Letter) -> None:
        """Find the one that cannot be handled; the rest is."""
        for attempt in range(1, self._pace.attempts_max + 1):
            try:
                await self._handler.handle([letter.event])
            except Exception as error:
                if not _is_the_events_fault(error):
                    raise
                if attempt == self._pace.attempts_max:
                    why = f"failed {attempt} times: {type(error).__name__}: {error}"
                    await self._bury(letter.message, why)
                    return
                await rest(self._stopping, self._pace.retry_s)
            else:
                self._meter.taken.count(self._handler.durable, letter.event["event_type"])
                return

    async def _bury(self, message: Msg, reason: str) -> None:
        _log.warning("dead_letter", reader=self._handler.durable, subject=message.subject, why=reason)
        assert self._bus is not None, "a message came, so there is a bus"
        await self._bus.bury(self._handler.durable, message, reason)
        self._meter.buried.count(self._handler.durable)

    async def _wait(self, away: Exception) -> None:
        _log.warning("reading_waits", reader=self._handler.durable, why=str(away))
        await rest(self._stopping, self._pace.retry_s)


def _is_the_events_fault(error: Exception) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, asyncpg.IntegrityConstraintViolationError)
    return not isinstance(error, _AWAY)


def read(subject: str, data: bytes) -> Event:
    """The valid event that a message holds; raises `EventRefused`.

    The subject must be its type: rights on the bus are rights on subjects, so a type under another subject
    would be a service that speaks for another one.
    """
    try:
        candidate = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise EventRefused(f"not JSON: {error}") from None
    validate(candidate)
    if candidate["event_type"] != subject:
        raise EventRefused(f"{candidate['event_type']} came on the subject {subject}")
    if candidate["payload"].get("tenant", candidate["tenant"]) != candidate["tenant"]:
        raise EventRefused("the payload names another tenant than the event")
    event: Event = candidate
    return event
