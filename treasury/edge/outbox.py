"""The outbox, read by the relay: events in the order in which they were committed, at least once."""

import orjson

from adapters.postgres import Connection, Database
from schemas.events.registry import Event
from treasury.edge.queries import SQL


async def unpublished(database: Database, batch_max: int) -> list[Event]:
    """The oldest events that are not marked as published."""
    async with database.session() as connection:
        rows = await connection.fetch(SQL.unpublished_events, batch_max)
    return [orjson.loads(row["event"]) for row in rows]


async def mark_published(database: Database, events: list[Event]) -> None:
    """Never hand these out again."""
    tenants = [event["tenant"] for event in events]
    ids = [event["event_id"] for event in events]

    async def work(connection: Connection) -> None:
        await connection.execute(SQL.mark_published, tenants, ids)

    await database.transact(work)
