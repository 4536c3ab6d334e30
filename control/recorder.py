"""The recorder: reads the event stream as a durable consumer and keeps every event in PostgreSQL.

A message is acknowledged only after the commit that keeps it, so whatever was under way when the recorder
ended comes again, and is then found to be there. A message that is no valid event goes to the dead letters
with the reason. While PostgreSQL or the bus is away the recorder asks again after a pause; the stream waits.
When nothing comes it looks whether the stream is still the one that it reads: a stream whose storage was lost
is made anew, and those who published to it publish again. What it cannot survive ends the whole process, so
that whoever supervises it starts it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from nats.aio.msg import Msg

from adapters.metrics import Metrics
from adapters.nats import Bus, BusUnavailable, Consumer, StreamLimits
from adapters.postgres import DatabaseUnavailable, UnusableValue
from adapters.telemetry import logger
from control.store import Store
from schemas.events.registry import Event, EventRefused, validate

DURABLE: Final = "recorder"

_log = logger("recorder")


class Pace(NamedTuple):
    """How much is recorded at once, how long an empty stream is waited on, the pause after a failure."""

    batch_max: int
    wait_s: float
    retry_s: float


class _Letter(NamedTuple):
    """A message and the event that it holds."""

    message: Msg
    event: Event


class Recorder:
    """`start` and `stop` it with the service; `ready` while it reads the stream."""

    def __init__(
        self,
        store: Store,
        connect: Callable[[], Awaitable[Bus]],
        limits: StreamLimits,
        pace: Pace,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._connect = connect
        self._limits = limits
        self._pace = pace
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._bus: Bus | None = None
        self._reading = False
        self._made: datetime | None = None
        self._recorded = metrics.counter("tollhouse_control_recorded_events", "Events kept.", ["type"])
        self._buried = metrics.counter("tollhouse_control_dead_letters", "Messages that are no valid event.")

    @property
    def ready(self) -> bool:
        """Whether the streams are there and are being read."""
        return self._reading and self._bus is not None and self._bus.connected

    def start(self, died: Callable[[], None]) -> None:
        """Make the streams and begin to read. `died` is called when it ends without having been stopped."""
        self._task = asyncio.create_task(self._run(), name="recorder")
        self._task.add_done_callback(lambda _: None if self._stopping.is_set() else died())

    async def stop(self) -> None:
        """Finish the batch under way and hang up. Raises what the recorder died of, if it did."""
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
                except (BusUnavailable, DatabaseUnavailable) as error:
                    _log.warning("recording_waits", why=str(error))
                    await self._pause()
        except Exception:
            _log.exception("recorder_died")
            raise
        finally:
            self._reading = False

    async def _open(self) -> Consumer:
        self._bus = self._bus or await self._connect()
        await self._bus.ensure_streams(self._limits)
        self._made = (await self._bus.position()).created
        return await self._bus.consumer(DURABLE)

    async def _read(self, consumer: Consumer) -> None:
        self._reading = True
        try:
            while not self._stopping.is_set():
                messages = await consumer.fetch(self._pace.batch_max, self._pace.wait_s)
                if messages:
                    await self._record(messages)
                    await consumer.acknowledge(messages)
                elif await self._is_another_stream():
                    return
        finally:
            self._reading = False

    async def _is_another_stream(self) -> bool:
        assert self._bus is not None, "there was a stream, so there is a bus"
        return (await self._bus.position()).created != self._made

    async def _record(self, messages: Sequence[Msg]) -> None:
        letters = []
        for message in messages:
            try:
                letters.append(_Letter(message, read(message.subject, message.data)))
            except EventRefused as refused:
                await self._bury(message, str(refused))
        if not letters:
            return
        try:
            await self._keep(letters)
        except UnusableValue:
            await self._record_singly(letters)

    async def _record_singly(self, letters: Sequence[_Letter]) -> None:
        """Find the one that PostgreSQL cannot hold; the rest is kept."""
        for letter in letters:
            try:
                await self._keep([letter])
            except UnusableValue as error:
                await self._bury(letter.message, f"cannot be stored: {error}")

    async def _keep(self, letters: Sequence[_Letter]) -> None:
        await self._store.record([letter.event for letter in letters])
        for letter in letters:
            self._recorded.count(letter.event["event_type"])

    async def _bury(self, message: Msg, reason: str) -> None:
        _log.warning("dead_letter", subject=message.subject, why=reason)
        assert self._bus is not None, "a message came, so there is a bus"
        await self._bus.bury(DURABLE, message, reason)
        self._buried.count()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._pace.retry_s):
                await self._stopping.wait()
        except TimeoutError:
            return


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
