"""The outbox, read by the relay: events in the order in which they were committed, at least once.

Rows are never deleted, since the ledger's proof reads them. The position of the stream is kept in the same
commit as the marks of what was published to it, so that a stream that lost its storage is given again what it
should still hold by its own limit of age.

Publishing goes in waves, none of which has two events of one workflow: an event is sent only after the stream
has acknowledged the one before it, so that a refusal half way cannot turn their order around.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Final

import orjson

from adapters.nats_permissions import EVENTS_STREAM
from adapters.postgres import Connection, Database, one
from adapters.queries import named
from adapters.stream_position import StreamPosition
from schemas.events.registry import Event
from treasury.edge.queries import SQL

COUNTED_MAX: Final = 10_000
_FOR_EVER: Final = timedelta(days=365_000)
_SQL: Final = named((files("treasury") / "sql" / "outbox.sql").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is committed and not published: how many events (`COUNTED_MAX` stands for more too), and how
    long the oldest of them has waited, in seconds."""

    events: int
    oldest_s: float


async def waiting(database: Database) -> Waiting:
    """How far the relay is behind."""
    async with database.session() as connection:
        row = await one(connection, _SQL.waiting, COUNTED_MAX)
    return Waiting(row["events"], row["oldest_s"])


def in_waves(events: Sequence[Event]) -> list[list[Event]]:
    """The events in waves, one of each workflow at most in each; within a workflow their order stays."""
    waves: list[list[Event]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for event in events:
        workflow = event["tenant"], event["workflow_id"]
        if seen[workflow] == len(waves):
            waves.append([])
        waves[seen[workflow]].append(event)
        seen[workflow] += 1
    return waves


async def unpublished(database: Database, batch_max: int) -> list[Event]:
    """The oldest events that are not marked as published."""
    async with database.session() as connection:
        rows = await connection.fetch(SQL.unpublished_events, batch_max)
    return [orjson.loads(row["event"]) for row in rows]


async def mark_published(database: Database, events: list[Event], position: StreamPosition) -> None:
    """Never hand these out again, unless the stream comes to lack what it has at this position."""
    tenants = [event["tenant"] for event in events]
    ids = [event["event_id"] for event in events]

    async def work(connection: Connection) -> None:
        await connection.execute(SQL.mark_published, tenants, ids)
        await _keep(connection, position)

    await database.transact(work)


async def seen_position(database: Database) -> StreamPosition | None:
    """Where the stream stood at the last mark; None when nothing was ever published."""
    async with database.session() as connection:
        row = await connection.fetchrow(SQL.relay_position, EVENTS_STREAM)
    return None if row is None else StreamPosition(*row)


async def publish_again(database: Database, position: StreamPosition, timeout_s: int) -> int:
    """Hand out again what a stream at this position may lack; how many events that is.

    All of it or none, within `timeout_s`.
    """
    age = timedelta(seconds=position.age_s_max) if position.age_s_max else _FOR_EVER

    async def work(connection: Connection) -> int:
        await connection.execute(SQL.allow_time, f"{timeout_s}s")
        count: int = await connection.fetchval(SQL.publish_again, age)
        await _keep(connection, position)
        return count

    return await database.transact(work)


async def _keep(connection: Connection, position: StreamPosition) -> None:
    await connection.execute(
        SQL.keep_relay_position, EVENTS_STREAM, position.created, position.last_seq, position.messages
    )
