"""Transactions that conflict are run again; a server that is gone is told as such."""

import asyncio

import asyncpg
import pytest

from adapters.postgres import RETRIES_MAX, Connection, Database, DatabaseUnavailable, UnusableValue, one

pytestmark = pytest.mark.requirement("TRE-11")


async def test_conflicts_are_run_again(database: str) -> None:
    pool = await Database.open(database, application="test")
    tries: list[int] = []

    async def work(connection: Connection) -> int:
        tries.append(1)
        if len(tries) < 3:
            state = "40001" if len(tries) == 1 else "40P01"
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")
        return 7

    assert await pool.transact(work) == 7
    assert len(tries) == 3
    await pool.close()


async def test_endless_conflicts_are_given_up(database: str) -> None:
    pool = await Database.open(database, application="test")
    tries: list[int] = []

    async def work(connection: Connection) -> None:
        tries.append(1)
        await connection.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")

    with pytest.raises(DatabaseUnavailable, match="gave up"):
        await pool.transact(work)
    assert len(tries) == RETRIES_MAX
    await pool.close()


async def test_faults_of_the_work_are_its_own(database: str) -> None:
    pool = await Database.open(database, application="test")

    async def work(connection: Connection) -> None:
        assert await one(connection, "SELECT 1 AS it")
        with pytest.raises(LookupError):
            await one(connection, "SELECT 1 WHERE FALSE")
        await connection.execute("SELECT 1 FROM nowhere")

    with pytest.raises(asyncpg.UndefinedTableError):
        await pool.transact(work)
    await pool.close()


async def test_closing_waits_only_so_long(database: str) -> None:
    pool = await Database.open(database, application="test")
    sleeping = asyncio.create_task(sleep_in(pool))
    async with asyncio.timeout(5):
        while True:
            async with pool.session() as connection:
                if await connection.fetchval("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
                    break
    await pool.close(timeout_s=0.05)
    with pytest.raises(DatabaseUnavailable):
        await sleeping


async def sleep_in(pool: Database) -> None:
    async with pool.session() as connection:
        await connection.execute("SELECT pg_sleep(4)")


async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    pool = await Database.open(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none", application="test")
    with pytest.raises(DatabaseUnavailable):
        async with pool.session():
            pass
    await pool.close()


@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize("state", ["25006", "25P03", "53100", "53200", "57P01", "57P03", "58030"])
async def test_a_server_that_cannot_work_is_as_good_as_gone(database: str, state: str) -> None:
    pool = await Database.open(database, application="test")
    with pytest.raises(DatabaseUnavailable):
        async with pool.session() as connection:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")
    await pool.close()


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    ("statement", "value"),
    [("SELECT $1::text", "\x00"), ("SELECT $1::bigint", 2**63), ("SELECT $1::uuid", 9), ("SELECT 1 / $1", 0)],
)
async def test_a_value_that_no_server_could_take_is_no_outage(
    database: str, statement: str, value: object
) -> None:
    pool = await Database.open(database, application="test")
    with pytest.raises(UnusableValue):
        async with pool.session() as connection:
            await connection.fetch(statement, value)
    await pool.close()
