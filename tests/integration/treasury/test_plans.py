"""How PostgreSQL finds what the ledger's road asks for: by keys, whatever it knows of the tables."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.postgres import Connection, Database, one
from tests.fixtures.commands import DAY, a_command, a_warrant, an_intent
from tests.fixtures.treasury import LedgerDatabase
from treasury.core.authorization import Terms
from treasury.core.command import Command, Execute, Spend
from treasury.core.intent import Intent
from treasury.edge.ledger import carry_out
from treasury.edge.queries import LEDGER

pytestmark = pytest.mark.requirement("TRE-11")
TERMS = Terms(hold_ttl_s=900, approval_ttl_s=900)
BUDGET = DAY | {"limit_cents": 1_000_000}
UPDATES = """SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables
WHERE relname IN ('intents', 'authorizations') ORDER BY relname"""
PLANS = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
ROWS_READ = """SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
FROM pg_stat_xact_user_tables WHERE schemaname = 'treasury'"""


def spending(intent: Intent) -> Command:
    return a_command(Spend(a_warrant(intent, "authorize", [BUDGET]), intent))


def capturing(intent: Intent) -> Command:
    return a_command(Execute(a_warrant(intent, "execute"), intent.id, "vendor:1", None))


@pytest.fixture
async def keyed(ledger_database: LedgerDatabase) -> AsyncIterator[Database]:
    opened = await Database.open(ledger_database.treasury, application="test", by_key=True)
    yield opened
    await opened.close()


async def test_what_a_command_reads_does_not_grow_with_the_ledger(keyed: Database) -> None:
    """In a new ledger, of whose tables nothing is known: the plans that are made there are kept.

    Triggers and foreign keys read too: the statistics count all of it.
    """

    async def read(connection: Connection) -> int:
        before, intent = int(await connection.fetchval(ROWS_READ) or 0), an_intent(5)
        await carry_out(connection, [spending(intent)], TERMS)
        await carry_out(connection, [capturing(intent)], TERMS)
        return int(await connection.fetchval(ROWS_READ)) - before

    few = [await keyed.transact(read) for _ in range(3)]
    for _ in range(4):
        spends = [spending(an_intent(5)) for _ in range(50)]
        await keyed.transact(lambda connection, all_=spends: carry_out(connection, all_, TERMS))
    assert await keyed.transact(read) <= few[-1] + 10


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
    await keyed.transact(lambda connection: carry_out(connection, [*map(spending, intents)], TERMS))

    async def moved(connection: Connection) -> list[asyncpg.Record]:
        await carry_out(connection, [*map(capturing, intents)], TERMS)
        return await connection.fetch(UPDATES)

    assert [tuple(row) for row in await keyed.transact(moved)] == [
        ("authorizations", 4, 4),
        ("intents", 4, 4),
    ]
