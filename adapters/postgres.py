"""PostgreSQL as the services use it: a small pool, whole transactions, one way to fail.

`Database.transact` runs a function in one transaction and runs it again when the database asks for
that (40001 serialization failure, 40P01 deadlock): the function must therefore touch nothing but its
connection. When PostgreSQL cannot be reached, goes away half way, or cannot write (a full disk, a standby),
there is `DatabaseUnavailable`: whether a commit that was under way took place is then unknown, and asking
again with the same idempotency key tells.

Fixed for every session: `jit` off (it costs more than these small statements), UTC, a statement
timeout, and a limit on idle transactions, so that a stuck client cannot keep rows locked.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Self, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Result = TypeVar("Result")
Connection = asyncpg.Connection | PoolConnectionProxy

RETRIES_MAX: Final = 8
_BY_KEY: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_GONE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the client says of a session that ended within a statement
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # 57: shut down, crashed, starting up, cancelled
    asyncpg.InsufficientResourcesError,  # 53: disk full, out of memory, too many connections
    asyncpg.PostgresSystemError,  # 58: its disk fails
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
)


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be reached, refuses this role, or went away: ask again later."""


class UnusableValue(Exception):
    """PostgreSQL cannot take a value: a NUL in a text, a number out of its range. Asking again is no use."""


class Database:
    """A pool of at most `pool_size` sessions of one role. Opening it needs no server yet."""

    def __init__(self, pool: "asyncpg.Pool", acquire_timeout_s: float) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        application: str,
        pool_size: int = 8,
        connect_timeout_s: float = 3.0,
        statement_timeout_ms: int = 5000,
        lock_timeout_ms: int = 0,
        by_key: bool = False,
    ) -> Self:
        """Sessions are opened as they are needed; a server that is not there yet is no error.

        `lock_timeout_ms` 0 waits for locks as long as a statement may take. `by_key` is for sessions whose
        statements all find their rows by keys: each is planned once, and never to read a whole table.
        """
        pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=pool_size,
            timeout=connect_timeout_s,
            reset=_leave_as_it_is,
            server_settings={
                "application_name": application,
                "jit": "off",
                "timezone": "UTC",
                "statement_timeout": str(statement_timeout_ms),
                "lock_timeout": str(lock_timeout_ms),
                "idle_in_transaction_session_timeout": str(statement_timeout_ms * 2),
                **(_BY_KEY if by_key else {}),
            },
        )
        return cls(await pool, connect_timeout_s)

    async def transact(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Run `work` in one transaction and commit; whatever it raises rolls back.

        Raises `DatabaseUnavailable` when the server is gone, or asks for more than RETRIES_MAX retries.
        """
        for attempt in range(RETRIES_MAX):
            try:
                async with self.session() as connection, connection.transaction():
                    return await work(connection)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(0.002 * attempt)
        raise DatabaseUnavailable(f"gave up after {RETRIES_MAX} conflicts with other transactions")

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Connection]:
        """One session from the pool, outside any transaction.

        Raises `DatabaseUnavailable`, and `UnusableValue` for what its statements are given.
        """
        try:
            async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection:
                yield connection
        except asyncpg.DataError as error:
            raise UnusableValue(str(error)) from error
        except _GONE as error:
            if isinstance(error, ValueError):  # the client's own name for a DataError
                raise UnusableValue(str(error)) from error
            raise DatabaseUnavailable(str(error) or type(error).__name__) from error

    async def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is under way, then close; after `timeout_s` cut it off."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout_s)
        except TimeoutError:
            self._pool.terminate()


async def _leave_as_it_is(connection: Connection) -> None:
    """Nothing outlives a transaction here (every setting is local), so a session needs no cleaning."""


async def one(connection: Connection, statement: str, *arguments: object) -> asyncpg.Record:
    """The row of a statement that always has one; `LookupError` otherwise."""
    row = await connection.fetchrow(statement, *arguments)
    if row is None:
        raise LookupError("a row that must be there is not")
    return row
