"""The sweeper: ends holds whose time is up, by the database's clock, one commit a hold.

A hold that cannot be ended is said in the log and left for the next round; those behind it are ended.
"""

from typing import NamedTuple
from uuid import UUID

from adapters.background import unending
from adapters.postgres import Connection, Database, DatabaseUnavailable
from adapters.telemetry import logger
from schemas.ids import new_id
from treasury.edge.commit import Commit
from treasury.edge.queries import SQL
from treasury.edge.settlements import expire

log = logger("treasury.sweep")


class Swept(NamedTuple):
    """How many holds were due, and how many of them could not be ended."""

    due: int
    failed: int


async def sweep(database: Database, batch_max: int, skipped: int = 0) -> Swept:
    """End at most `batch_max` holds that are due, but not the oldest `skipped`.

    Raises `DatabaseUnavailable`.
    """
    async with database.session() as connection:
        due = await connection.fetch(SQL.holds_to_expire, batch_max, skipped)
    ended = [await _is_ended(database, row["tenant_id"], row["id"]) for row in due]
    return Swept(len(due), ended.count(False))


async def _is_ended(database: Database, tenant: str, hold_id: UUID) -> bool:
    async def work(connection: Connection) -> None:
        at = await connection.fetchval("SELECT clock_timestamp()")
        await expire(Commit(connection, tenant, at, new_id()), hold_id)

    try:
        await database.transact(work)
    except DatabaseUnavailable:
        raise
    except Exception:
        log.exception("hold_not_ended", tenant=tenant, hold_id=str(hold_id))
        return False
    return True


async def sweep_all(database: Database, batch_max: int) -> None:
    """End all that is due, batch after batch, as far as the database goes along."""
    skipped, due = 0, batch_max
    try:
        while due == batch_max:
            due, failed = await sweep(database, batch_max, skipped)
            skipped += failed
    except DatabaseUnavailable as error:
        log.warning("sweep_failed", reason=str(error))


async def sweep_forever(database: Database, interval_ms: int, batch_max: int) -> None:
    """Sweep until cancelled."""
    await unending("sweep", lambda: sweep_all(database, batch_max), interval_ms / 1000)
