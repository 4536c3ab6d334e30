"""One command of an operator, done once, in one database transaction; those of gateways go in batches.

A write comes with a key and the digest of what was asked. The first statement claims the key; the answer
is kept beside it in the same commit, refusals included, so that asking again gets the same answer and
moves nothing. A key whose first command is still under way, on whatever machine, is
`idempotency_in_flight`; one that was used for something else is `idempotency_mismatch`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import orjson

from adapters.postgres import Connection, Database, one
from schemas.ids import new_id
from treasury.core.command import Answer, Asked
from treasury.edge.queries import SQL
from treasury.errors import Refused

__all__ = ["Answer", "Asked", "Commit", "fresh_id", "instant", "once"]


@dataclass(slots=True)
class Commit:
    """The transaction under way. `at` is the database's time, read after its locks were taken."""

    connection: Connection
    tenant: str
    at: datetime
    correlation_id: str


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def fresh_id() -> UUID:
    """A UUIDv7."""
    return UUID(new_id())


async def once(
    database: Database, asked: Asked, in_flight_wait_ms: int, work: Callable[[Commit], Awaitable[Answer]]
) -> Answer:
    """Run a command once and keep its answer. `work` decides before it writes.

    Raises `Refused` for the key's sake, `DatabaseUnavailable`.
    """

    async def attempt(connection: Connection) -> Answer:
        await connection.execute(SQL.limit_lock_wait, f"{in_flight_wait_ms}ms")
        at = await connection.fetchval(SQL.claim, asked.tenant, asked.key, asked.sha256())
        if at is None:
            return await _kept(connection, asked)
        await connection.execute(SQL.limit_lock_wait, "0")
        try:
            answer = await work(Commit(connection, asked.tenant, at, asked.correlation_id))
        except Refused as refused:
            answer = Answer(refused.status, {"code": refused.code, "detail": refused.detail})
        text = orjson.dumps(answer.body).decode()
        await connection.execute(SQL.keep_answer, asked.tenant, asked.key, answer.status, text)
        return answer

    try:
        return await database.transact(attempt)
    except asyncpg.LockNotAvailableError:
        raise Refused("idempotency_in_flight", "the first request with this key is under way") from None


async def _kept(connection: Connection, asked: Asked) -> Answer:
    kept = await one(connection, SQL.kept_answer, asked.tenant, asked.key)
    if kept["request_sha256"] != asked.sha256():
        raise Refused("idempotency_mismatch", "this key was used for another request")
    return Answer(kept["status"], orjson.loads(kept["answer"]))
