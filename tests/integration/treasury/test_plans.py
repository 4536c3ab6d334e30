"""How PostgreSQL finds what the ledger's road asks for: by keys, whatever it knows of the tables."""

import re
from collections.abc import AsyncIterator

import pytest

from adapters.postgres import Connection, Database, one
from tests.fixtures.treasury import LedgerDatabase
from treasury.edge.queries import LEDGER

pytestmark = pytest.mark.requirement("TRE-11")
STATEMENTS = {name: statement for name, statement in vars(LEDGER).items() if isinstance(statement, str)}
PLANS = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"


@pytest.fixture
async def keyed(ledger_database: LedgerDatabase) -> AsyncIterator[Database]:
    opened = await Database.open(ledger_database.treasury, application="test", by_key=True)
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_no_statement_of_the_road_reads_a_whole_table(keyed: Database, name: str) -> None:
    """In a new ledger, of whose tables nothing is known yet, too: the plan outlives that time."""

    async def plan(connection: Connection) -> list[str]:
        await connection.execute(f"PREPARE asked AS {STATEMENTS[name]}")
        nothing = ", ".join(["NULL"] * max(map(int, re.findall(r"\$(\d+)", STATEMENTS[name]))))
        return [row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE asked ({nothing})")]

    lines = await keyed.transact(plan)
    assert lines
    assert [line for line in lines if "Seq Scan" in line] == []


async def test_a_statement_is_planned_once(keyed: Database) -> None:
    async def plans(connection: Connection) -> tuple[int, int]:
        for _ in range(3):
            await connection.fetch(LEDGER.known, [], [], [], [], [])
        row = await one(connection, PLANS, LEDGER.known)
        return row["generic_plans"], row["custom_plans"]

    assert await keyed.transact(plans) == (3, 0)
