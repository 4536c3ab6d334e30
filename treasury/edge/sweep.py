"""The sweeper: ends holds whose time is up, by the database's clock, in the batches of everybody else.

A hold that cannot be ended is said in the log and left for the next round; those beside it and behind it are
ended.
"""

import asyncio
from typing import NamedTuple

from adapters.background import unending
from adapters.postgres import Database, DatabaseUnavailable
from adapters.telemetry import logger
from schemas.ids import new_id
from treasury.core.command import Command, Expire
from treasury.edge.batch import Batches
from treasury.edge.queries import SQL

log = logger("treasury.sweep")


class Swept(NamedTuple):
    """How many holds were due, and how many of them could not be ended."""

    due: int
    failed: int


async def sweep(database: Database, batches: Batches, due_max: int, skipped: int = 0) -> Swept:
    """End at most `due_max` holds that are due, but not the oldest `skipped`.

    Raises `DatabaseUnavailable`.
    """
    async with database.session() as connection:
        due = await connection.fetch(SQL.holds_to_expire, due_max, skipped)
    commands = [Command(row["tenant_id"], new_id(), Expire(row["id"])) for row in due]
    ended = await asyncio.gather(*(_is_ended(batches, each) for each in commands), return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome
    return Swept(len(due), ended.count(False))


async def _is_ended(batches: Batches, command: Command) -> bool:
    try:
        await batches.do(command)
    except DatabaseUnavailable:
        raise
    except Exception:
        log.exception("hold_not_ended", tenant=command.tenant, hold_id=str(command.hold_id))
        return False
    return True


async def sweep_all(database: Database, batches: Batches, due_max: int) -> None:
    """End all that is due, batch after batch, as far as the database goes along."""
    skipped, due = 0, due_max
    try:
        while due == due_max:
            due, failed = await sweep(database, batches, due_max, skipped)
            skipped += failed
    except DatabaseUnavailable as error:
        log.warning("sweep_failed", reason=str(error))


async def sweep_forever(database: Database, batches: Batches, interval_ms: int, due_max: int) -> None:
    """Sweep until cancelled."""
    await unending("sweep", lambda: sweep_all(database, batches, due_max), interval_ms / 1000)
