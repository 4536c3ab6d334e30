"""What control has to tell: written in the commit of what it tells of, published by a round of its own.

An event is published at least once, with its id as message id, and in the order of the commits.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

import orjson

from adapters.nats import Bus, BusUnavailable
from adapters.postgres import Connection, Database
from adapters.queries import named
from schemas.events.registry import Event

_SQL: Final = named((files("control") / "sql" / "outbox.sql").read_text("utf-8"))


async def tell(connection: Connection, event: Event) -> None:
    """Write an event that is published when this transaction has been committed."""
    await connection.execute(_SQL.tell, event["tenant"], event["event_id"], orjson.dumps(event).decode())


class Teller:
    """Publishes what the outbox holds; `connect` makes the connection to the bus."""

    def __init__(self, database: Database, connect: Callable[[], Awaitable[Bus]], batch_max: int) -> None:
        self._database = database
        self._connect = connect
        self._batch_max = batch_max
        self._bus: Bus | None = None

    async def publish(self) -> None:
        """Publish all that waits. Raises `BusUnavailable`, `DatabaseUnavailable`: the rest waits."""
        while events := await self._untold():
            self._bus = self._bus or await self._connect()
            kept = await self._bus.publish_batch(events)
            await self._mark(events[:kept])
            if kept < len(events):
                raise BusUnavailable(f"the bus kept {kept} of {len(events)} events")

    async def close(self) -> None:
        """Hang up."""
        if self._bus is not None:
            await self._bus.close()

    async def _untold(self) -> list[Event]:
        async with self._database.session() as connection:
            rows = await connection.fetch(_SQL.untold, self._batch_max)
        return [orjson.loads(row["event"]) for row in rows]

    async def _mark(self, events: list[Event]) -> None:
        async with self._database.session() as connection:
            await connection.execute(
                _SQL.mark_told,
                [event["tenant"] for event in events],
                [event["event_id"] for event in events],
            )
