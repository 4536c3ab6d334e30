"""The sweeper: ends holds whose time is up, by the database's clock, in the batches of everybody else."""

import asyncio

from adapters.postgres import Database, DatabaseUnavailable
from adapters.telemetry import logger
from schemas.ids import new_id
from treasury.core.command import Command, Expire
from treasury.edge.batch import Batches
from treasury.edge.queries import SQL

log = logger("treasury.sweep")


async def sweep(database: Database, batches: Batches, due_max: int) -> int:
    """End at most `due_max` holds that are due; returns how many were. Raises `DatabaseUnavailable`."""
    async with database.session() as connection:
        due = await connection.fetch(SQL.holds_to_expire, due_max)
    commands = [Command(row["tenant_id"], new_id(), Expire(row["id"])) for row in due]
    await asyncio.gather(*(batches.do(command) for command in commands))
    return len(due)


async def sweep_forever(database: Database, batches: Batches, interval_ms: int, due_max: int) -> None:
    """Sweep until cancelled; a full batch is followed by the next at once."""
    while True:
        try:
            ended = await sweep(database, batches, due_max)
        except DatabaseUnavailable as error:
            log.warning("sweep_failed", reason=str(error))
            ended = 0
        if ended < due_max:
            await asyncio.sleep(interval_ms / 1000)
