"""The event bus: publish events to JetStream, make the streams, read them as a durable consumer.

Every publish waits for the stream's acknowledgement and carries the event's id as message id, so that
an event that is sent again within the stream's duplicate window is kept once. A lost connection is taken
up again for as long as the process lives, a moment apart; meanwhile every publish fails as
`BusUnavailable` within its timeout and nothing is kept in memory on the caller's behalf.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import nats
import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RawStreamMsg,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from adapters.dead_letter import DeadLetter, burial_headers
from adapters.nats_permissions import (
    DEAD_LETTERS_PREFIX,
    DEAD_LETTERS_STREAM,
    EVENT_SUBJECTS,
    EVENTS_STREAM,
    inbox_prefix,
)
from adapters.stream_position import StreamPosition
from adapters.telemetry import logger
from schemas.events import cloudevents
from schemas.events.registry import Event, validate

_FAILURES: Final = (nats.errors.Error, nats.js.errors.Error, TimeoutError)
_log = logger("nats")


class BusUnavailable(Exception):
    """The bus did not answer in time, refused, or is not connected."""


@dataclass(frozen=True, slots=True)
class BusAddress:
    """Where the bus is and who we are there. `user` is an identity of `nats_permissions`."""

    url: str
    user: str
    password: str
    connect_timeout_s: float = 5.0
    ack_timeout_s: float = 5.0
    reconnect_wait_s: float = 0.5


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How much the streams keep; the oldest goes first. Ids are remembered for `duplicates_s`."""

    events_bytes_max: int = 512 * 1024**2
    dead_letters_bytes_max: int = 64 * 1024**2
    age_s_max: int = 30 * 86_400
    duplicates_s: int = 120


class Bus:
    """One connection with one identity. Make it with `connect`, end it with `close`."""

    def __init__(self, client: Client, address: BusAddress) -> None:
        self._client = client
        self._address = address
        self._stream = client.jetstream(timeout=address.ack_timeout_s)

    @classmethod
    async def connect(cls, address: BusAddress) -> Self:
        """Connect within `connect_timeout_s`, or raise `BusUnavailable`."""
        client = Client()
        try:
            async with asyncio.timeout(address.connect_timeout_s):
                await client.connect(
                    address.url,
                    user=address.user,
                    password=address.password,
                    name=f"tollhouse-{address.user}",
                    inbox_prefix=inbox_prefix(address.user),
                    allow_reconnect=False,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=address.reconnect_wait_s,  # type: ignore[arg-type] # fractions work
                    ping_interval=20,
                    error_cb=_on_error,
                    disconnected_cb=_on_disconnected,
                    reconnected_cb=_on_reconnected,
                )
        except (OSError, TimeoutError, nats.errors.Error) as error:
            await client.close()
            raise BusUnavailable(f"no connection to the bus: {type(error).__name__}") from error
        except asyncio.CancelledError:
            await client.close()
            raise
        # The first attempt fails at once and says why; only a connection that was lost is taken up again.
        client.options["allow_reconnect"] = True
        return cls(client, address)

    @property
    def connected(self) -> bool:
        """Whether there is a live connection right now."""
        return self._client.is_connected

    async def close(self) -> None:
        """Send what was published, then hang up; waits at most `ack_timeout_s` and never fails."""
        if self._client.is_connected:
            try:
                await self._client.flush(timeout=int(self._address.ack_timeout_s) or 1)
            except _FAILURES as error:
                _log.warning("bus_flush_failed", error=type(error).__name__)
        try:
            await self._client.close()
        except (OSError, *_FAILURES) as error:  # the server went away within the last words
            _log.warning("bus_close_failed", error=type(error).__name__)

    async def publish(self, event: Event) -> None:
        """Publish one valid event on the subject that is its type; returns when the stream has it.

        Raises `EventRefused` for an event that no schema allows, `BusUnavailable` without an ack.
        """
        if await self.publish_batch([event]) != 1:
            raise BusUnavailable("the bus did not acknowledge the event")

    async def publish_batch(self, events: Sequence[Event]) -> int:
        """Publish in order without waiting between, then wait for all; how many of the first are kept.

        What comes after the first that was not acknowledged counts as not kept: publish it again, the
        stream knows the ids of those that it has already. Raises `EventRefused` before anything is sent.
        """
        for event in events:
            validate(event)
        acks: list[asyncio.Future[Any]] = []
        try:
            for event in events:
                acks.append(  # noqa: PERF401 - those that were sent are wanted when a later one fails
                    await self._stream.publish_async(
                        event["event_type"],
                        orjson.dumps(event),
                        headers=_headers(event),
                        stream=EVENTS_STREAM,
                    )
                )
        except _FAILURES as error:
            _log.warning("bus_publish_failed", error=type(error).__name__)
        return await self._count_acknowledged(acks)

    async def _count_acknowledged(self, acks: list[asyncio.Future[Any]]) -> int:
        if not acks:
            return 0
        _done, late = await asyncio.wait(acks, timeout=self._address.ack_timeout_s)
        for ack in late:
            ack.cancel()
        refused = [ack.exception() for ack in acks if ack not in late and ack.exception() is not None]
        if refused or late:
            _log.warning("bus_not_acknowledged", late=len(late), refused=len(refused), first=_name(refused))
        kept = 0
        for ack in acks:
            if ack in late or ack.exception() is not None:
                break
            kept += 1
        return kept

    async def position(self) -> StreamPosition:
        """Where the stream of events stands; raises `BusUnavailable`, where there is no stream too."""
        try:
            info = await self._stream.stream_info(EVENTS_STREAM)
        except _FAILURES as error:
            raise BusUnavailable(f"stream {EVENTS_STREAM}: {type(error).__name__}") from error
        assert info.created is not None, "the server says when it made a stream"
        state = info.state
        return StreamPosition(info.created, state.last_seq, state.messages, info.config.max_age or 0)

    async def ensure_streams(self, limits: StreamLimits = StreamLimits()) -> None:
        """Make the streams, or change them to these limits. Only control's identity may."""
        for name, subjects, bytes_max in (
            (EVENTS_STREAM, list(EVENT_SUBJECTS), limits.events_bytes_max),
            (DEAD_LETTERS_STREAM, [f"{DEAD_LETTERS_PREFIX}.>"], limits.dead_letters_bytes_max),
        ):
            wanted = StreamConfig(
                name=name,
                subjects=subjects,
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                discard=DiscardPolicy.OLD,
                max_bytes=bytes_max,
                max_age=limits.age_s_max,
                duplicate_window=limits.duplicates_s,
                max_consumers=64,
            )
            await self._ensure_stream(name, wanted)

    async def _ensure_stream(self, name: str, wanted: StreamConfig) -> None:
        try:
            try:
                await self._stream.stream_info(name)
            except nats.js.errors.NotFoundError:
                await self._stream.add_stream(wanted)
            else:
                await self._stream.update_stream(wanted)
        except _FAILURES as error:
            raise BusUnavailable(f"stream {name}: {type(error).__name__} {error}") from error

    async def consumer(self, durable: str, *, ack_wait_s: int = 2, max_ack_pending: int = 4096) -> "Consumer":
        """The durable reader of that name of all events, from the first one it has not acknowledged.

        What a reader took and did not acknowledge, since it was killed, comes again after `ack_wait_s`; that
        is waited for here, so that nothing newer comes before it.
        """
        config = ConsumerConfig(
            name=durable,
            durable_name=durable,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait_s,
            max_ack_pending=max_ack_pending,
        )
        try:
            known = await self._stream.add_consumer(EVENTS_STREAM, config)
            if known.num_ack_pending:
                await asyncio.sleep(ack_wait_s)
            subscription = await self._stream.pull_subscribe_bind(durable, EVENTS_STREAM)
        except _FAILURES as error:
            raise BusUnavailable(f"consumer {durable}: {type(error).__name__} {error}") from error
        return Consumer(subscription)

    async def acknowledged(self, durable: str) -> int:
        """The last place in the stream of events up to which that reader has acknowledged everything; 0
        where there is no such reader yet. Raises `BusUnavailable`."""
        try:
            known = await self._stream.consumer_info(EVENTS_STREAM, durable)
        except nats.js.errors.NotFoundError:
            return 0
        except _FAILURES as error:
            raise BusUnavailable(f"consumer {durable}: {type(error).__name__}") from error
        return known.ack_floor.stream_seq if known.ack_floor else 0

    async def bury(self, consumer: str, message: Msg, reason: str) -> None:
        """Put a message that cannot be understood among the dead letters, with the reason beside it.

        Raises `BusUnavailable`, and then the message must not be acknowledged.
        """
        origin = message.metadata
        headers = burial_headers(
            consumer, reason, message.subject, origin.stream, origin.sequence.stream, message.headers
        )
        try:
            await self._stream.publish(
                f"{DEAD_LETTERS_PREFIX}.{consumer}", message.data, stream=DEAD_LETTERS_STREAM, headers=headers
            )
        except _FAILURES as error:
            raise BusUnavailable(f"dead letters: {type(error).__name__}") from error

    async def letter(self, after: int) -> DeadLetter | None:
        """The first dead letter whose id is above `after`. Raises `BusUnavailable`."""
        kept = await self._next_kept(DEAD_LETTERS_STREAM, after)
        if kept is None:
            return None
        at = kept.time or datetime.fromtimestamp(0, UTC)
        return DeadLetter.read(kept.seq or 0, at, kept.subject or "", kept.headers or {}, kept.data or b"")

    async def replay(self, letter: DeadLetter) -> None:
        """Put a letter's message back where it came from, and the letter away. Raises `BusUnavailable`."""
        try:
            await self._stream.publish(
                letter.subject, letter.data, stream=EVENTS_STREAM, headers=letter.replay_headers()
            )
            await self._stream.delete_msg(DEAD_LETTERS_STREAM, letter.id)
        except _FAILURES as error:
            raise BusUnavailable(f"replay of {letter.id}: {type(error).__name__}") from error

    async def kept(self, after: int) -> tuple[int, bytes] | None:
        """The first event's message in the stream whose sequence is above `after`: its sequence and body.

        Raises `BusUnavailable`.
        """
        kept = await self._next_kept(EVENTS_STREAM, after)
        return None if kept is None else (kept.seq or 0, kept.data or b"")

    async def _next_kept(self, stream: str, after: int) -> RawStreamMsg | None:
        try:
            return await self._stream.get_msg(stream, after + 1, subject=">", next=True)
        except nats.js.errors.NotFoundError:
            return None
        except _FAILURES as error:
            raise BusUnavailable(f"stream {stream}: {type(error).__name__}") from error


class Consumer:
    """A durable reader; messages that are not acknowledged come again."""

    def __init__(self, subscription: Any) -> None:
        self._subscription = subscription

    async def fetch(self, batch: int, timeout_s: float) -> list[Msg]:
        """At most `batch` messages; an empty list when none came in time.

        Raises `BusUnavailable` when the bus is gone.
        """
        try:
            messages: list[Msg] = await self._subscription.fetch(batch, timeout=timeout_s)
        except TimeoutError:  # the library's own, or asyncio's where the answer's end came late
            return []
        except _FAILURES as error:
            raise BusUnavailable(f"fetch: {type(error).__name__}") from error
        return messages

    async def acknowledge(self, messages: Sequence[Msg]) -> None:
        """Never deliver these again. Lost acknowledgements bring them once more."""
        try:
            for message in messages:
                await message.ack()
        except _FAILURES as error:
            raise BusUnavailable(f"ack: {type(error).__name__}") from error


def _headers(event: Event) -> dict[str, str]:
    return {"Nats-Msg-Id": event["event_id"], **cloudevents.headers(event)}


def _name(errors: Sequence[BaseException | None]) -> str | None:
    return type(errors[0]).__name__ if errors else None


async def _on_error(error: Exception) -> None:
    _log.debug("bus_error", error=type(error).__name__)


async def _on_disconnected() -> None:
    _log.warning("bus_disconnected")


async def _on_reconnected() -> None:
    _log.info("bus_reconnected")
