"""A batch whose rows are on their way when its events cannot be told, or nobody waits any more.

Rows are written in a task of their own while events are put into words (`treasury.edge.ledger`). Either may
fail, or be cut off: then nothing of it is in the ledger, and the session is as good as before.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from adapters.postgres import Database, UnusableValue
from schemas.events.registry import EventRefused
from tests.fixtures.commands import a_command, a_warrant, an_intent
from tests.fixtures.treasury import LedgerDatabase
from treasury.core.authorization import Terms
from treasury.core.command import Answer, Command, Spend
from treasury.core.intent import Intent
from treasury.edge.batch import Batches, Limits
from treasury.edge.ledger import road
from treasury.edge.verify import verify

pytestmark = [pytest.mark.requirement("TRE-06"), pytest.mark.requirement("TRE-11")]

TERMS = Terms(900, 86_400)
BUDGET = {"key": "agent:scout", "window": "day", "limit_cents": 500}
UNTELLABLE = "p" * 201
"""A purpose that the database takes and no event may have."""
UNWRITABLE = "no\x00text"
"""A purpose that the database does not take, and every event may have."""
EVERYTHING = {
    "workflows": "SELECT count(*) FROM treasury.workflows",
    "intents": "SELECT count(*) FROM treasury.intents",
    "authorizations": "SELECT count(*) FROM treasury.authorizations",
    "holds": "SELECT count(*) FROM treasury.holds",
    "warrants": "SELECT count(*) FROM treasury.warrants",
    "keys": "SELECT count(*) FROM treasury.idempotency",
    "events": "SELECT count(*) FROM treasury.outbox",
    "held_cents": "SELECT coalesce(sum(held_cents), 0)::int FROM treasury.budgets",
}
NOTHING = dict.fromkeys(EVERYTHING, 0)


class Ending(Intent):
    """An intent whose command is cut off while its events are put into words."""

    def told(self) -> dict[str, Any]:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return super().told()


@pytest.fixture
async def database(ledger_database: LedgerDatabase) -> AsyncIterator[Database]:
    """One session alone: who does not give it back is noticed."""
    opened = await Database.open(ledger_database.treasury, application="test", pool_size=1)
    yield opened
    await opened.close()


def a_spend(intent: Intent) -> Command:
    return a_command(Spend(a_warrant(intent, "authorize", [BUDGET]), intent))


def spends(*purposes: str | None) -> list[Command]:
    """A spend of 10 for each of them; None is a good one."""
    return [a_spend(replace(an_intent(10), purpose=purpose or "tool_call")) for purpose in purposes]


async def told(database: Database, commands: Sequence[Command]) -> list[str]:
    """How each was answered, all asked for in one batch."""
    into = Batches(road(database, TERMS), Limits(64, 1_000, 1, 5_000))
    answers = await asyncio.gather(*map(into.do, commands), return_exceptions=True)
    return ["approved" if isinstance(each, Answer) else type(each).__name__ for each in answers]


async def ledger_of(database: Database) -> dict[str, int]:
    """How much of everything there is, in a ledger that is sound."""
    async with database.session() as connection:
        assert await verify(connection) == []
        return {name: await connection.fetchval(query) for name, query in EVERYTHING.items()}


def of(commands: int) -> dict[str, int]:
    """What so many spends of 10 leave in an empty ledger: two events each, declared and authorized."""
    return dict.fromkeys(EVERYTHING, commands) | {"events": 2 * commands, "held_cents": 10 * commands}


@asynccontextmanager
async def nothing_placed(ledger_database: LedgerDatabase) -> AsyncIterator[None]:
    """Whoever places rows in the ledger waits meanwhile; reading goes on."""
    connection = await asyncpg.connect(ledger_database.admin)
    async with connection.transaction():
        await connection.execute("LOCK TABLE treasury.intents IN SHARE MODE")
        yield
    await connection.close()


async def sessions(ledger_database: LedgerDatabase, condition: str) -> int:
    """How many of the treasury's sessions stand so."""
    connection = await asyncpg.connect(ledger_database.admin)
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        f" AND application_name = 'test' AND {condition}"
    )
    await connection.close()
    return count


async def until_rows_wait(ledger_database: LedgerDatabase) -> None:
    async with asyncio.timeout(5):
        while not await sessions(ledger_database, "wait_event_type = 'Lock'"):
            await asyncio.sleep(0.01)


async def is_as_before(database: Database, ledger_database: LedgerDatabase) -> None:
    """Nothing is in the ledger, no transaction is left open, and the one session does its work."""
    assert await sessions(ledger_database, "state <> 'idle'") == 0
    assert await ledger_of(database) == NOTHING
    assert await told(database, spends(None)) == ["approved"]
    assert await ledger_of(database) == of(1)


async def test_an_event_that_cannot_be_told_hurts_nobody_else(database: Database) -> None:
    answers = await told(database, spends(None, None, None, UNTELLABLE, None, None))
    assert answers == ["approved"] * 3 + [EventRefused.__name__] + ["approved"] * 2
    assert await ledger_of(database) == of(5)


@pytest.mark.parametrize(
    ("purpose", "fault"),
    [(UNTELLABLE, EventRefused), (UNWRITABLE, UnusableValue), (UNTELLABLE + UNWRITABLE, UnusableValue)],
)
async def test_alone_it_is_told_and_the_session_stays(
    database: Database, ledger_database: LedgerDatabase, purpose: str, fault: type[Exception]
) -> None:
    """The last one can be neither written nor told."""
    assert await told(database, spends(purpose)) == [fault.__name__]
    await is_as_before(database, ledger_database)


async def test_rows_and_events_that_both_fail_hurt_nobody_else(database: Database) -> None:
    purposes = (None, UNWRITABLE, None, UNTELLABLE, None, UNTELLABLE + UNWRITABLE, None)
    answers = await told(database, spends(*purposes))
    assert [answer == "approved" for answer in answers] == [purpose is None for purpose in purposes]
    assert answers[3] == EventRefused.__name__
    assert await ledger_of(database) == of(4)


async def test_a_command_cut_off_while_its_rows_are_written_leaves_nothing(
    database: Database, ledger_database: LedgerDatabase
) -> None:
    async with nothing_placed(ledger_database):
        carrying = asyncio.ensure_future(road(database, TERMS)(spends(None, None)))
        await until_rows_wait(ledger_database)
        carrying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await carrying
    await is_as_before(database, ledger_database)


async def test_a_command_cut_off_while_its_events_are_told_leaves_nothing(
    database: Database, ledger_database: LedgerDatabase
) -> None:
    good = an_intent(10)
    ending = Ending(**{name: getattr(good, name) for name in good.__dataclass_fields__})
    carrying = asyncio.ensure_future(road(database, TERMS)([a_spend(ending), *spends(None)]))
    with pytest.raises(asyncio.CancelledError):
        await carrying
    await is_as_before(database, ledger_database)


async def test_one_who_does_not_wait_for_the_answer_cuts_nothing_off(
    database: Database, ledger_database: LedgerDatabase
) -> None:
    """The command is done as a whole, and its key tells."""
    into = Batches(road(database, TERMS), Limits(64, 1_000, 1, 5_000))
    [command] = spends(None)
    async with nothing_placed(ledger_database):
        asked = asyncio.create_task(into.do(command))
        await until_rows_wait(ledger_database)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    await into.close()
    assert await ledger_of(database) == of(1)
    again = await into.do(command)
    assert again is not None
    assert again.body["approved"]
    assert await ledger_of(database) == of(1)
