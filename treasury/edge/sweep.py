"""The sweeper: ends holds whose time is up, by the database's clock, one commit a hold."""

import asyncio
from uuid import UUID

from adapters.postgres import Connection, Database, DatabaseUnavailable
from adapters.telemetry import logger
from schemas.ids import new_id
from treasury.edge.commit import Commit
from treasury.edge.queries import SQL
from treasury.edge.settlements import expire

log = logger("treasury.sweep")


async def sweep(database: Database, batch_max: int) -> int:
    """End at most `batch_max` holds that are due; returns how many were. Raises `DatabaseUnavailable`."""
    async with database.session() as connection:
        due = await connection.fetch(SQL.holds_to_expire, batch_max)
    for row in due:
        await _end(database, row["tenant_id"], row["id"])
    return len(due)


async def _end(database: Database, tenant: str, hold_id: UUID) -> None:
    async def work(connection: Connection) -> None:
        at = await connection.fetchval("SELECT clock_timestamp()")
        await expire(Commit(connection, tenant, at, new_id()), hold_id)

    await database.transact(work)


async def sweep_forever(database: Database, interval_ms: int, batch_max: int) -> None:
    """Sweep until cancelled; a full batch is followed by the next at once."""
    while True:
        try:
            ended = await sweep(database, batch_max)
        except DatabaseUnavailable as error:
            log.warning("sweep_failed", reason=str(error))
            ended = 0
        if ended < batch_max:
            await asyncio.sleep(interval_ms / 1000)
