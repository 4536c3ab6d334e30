"""How PostgreSQL finds what the ledger's road asks for: by keys, whatever it knows of the tables."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.postgres import Connection, Database, one
from tests.fixtures.commands import DAY, a_command, a_warrant, an_intent
from tests.fixtures.treasury import LedgerDatabase
from treasury.core.authorization import Terms
from treasury.core.command import Execute, Spend
from treasury.edge.ledger import carry_out
from treasury.edge.queries import LEDGER

pytestmark = pytest.mark.requirement("TRE-11")
STATEMENTS = {name: statement for name, statement in vars(LEDGER).items() if isinstance(statement, str)}
TERMS = Terms(hold_ttl_s=900, approval_ttl_s=900)
UPDATES = """SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables
WHERE relname IN ('intents', 'authorizations') ORDER BY relname"""
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


async def test_what_only_changes_its_status_stays_where_it_is(keyed: Database) -> None:
    """In its page, and in its indexes: the statistics of the transaction say so."""
    intents = [an_intent(5) for _ in range(4)]
    spends = [a_command(Spend(a_warrant(intent, "authorize", [DAY]), intent)) for intent in intents]
    captures = [
        a_command(Execute(a_warrant(intent, "execute"), intent.id, "vendor:1", None)) for intent in intents
    ]
    await keyed.transact(lambda connection: carry_out(connection, spends, TERMS))

    async def moved(connection: Connection) -> list[asyncpg.Record]:
        await carry_out(connection, captures, TERMS)
        return await connection.fetch(UPDATES)

    assert [tuple(row) for row in await keyed.transact(moved)] == [
        ("authorizations", 4, 4),
        ("intents", 4, 4),
    ]
