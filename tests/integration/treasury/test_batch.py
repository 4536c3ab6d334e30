"""Batches on a real database: the same outcomes as one at a time, and a bad row that hurts nobody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres import Database
from schemas.ids import new_id
from tests.fixtures.commands import a_command, a_warrant, an_intent
from tests.fixtures.treasury import LedgerDatabase
from treasury.core.authorization import Terms
from treasury.core.command import (
    Act,
    Answer,
    Asked,
    Authorize,
    CaptureHold,
    Command,
    Declare,
    Execute,
    MarkUnknown,
    Spend,
    Void,
    VoidHold,
)
from treasury.core.intent import Intent
from treasury.edge.batch import Batches, Limits
from treasury.edge.commit import Commit, once
from treasury.edge.knowing import RowsMoved, know
from treasury.edge.ledger import POSTPONED, Reply, road
from treasury.edge.settlements import reconcile
from treasury.edge.verify import verify
from treasury.errors import Refused

pytestmark = [
    pytest.mark.requirement("TRE-06"),
    pytest.mark.requirement("TRE-11"),
    pytest.mark.requirement("TRE-13"),
]

TERMS = Terms(900, 86_400)
INTENTS, WORKFLOWS = 6, 3
BUDGETS = [
    {"key": "tenant", "window": "month", "limit_cents": 900},
    {"key": "role:executor", "window": "day", "limit_cents": 500},
    {"key": "agent:scout", "window": "hour", "limit_cents": 300},
    {"key": "agent:scout", "window": "lifetime", "limit_cents": 700},
]
KINDS = ["declare", "spend", "authorize", "execute", "void", "capture", "void_hold", "unknown"]


@dataclass(frozen=True)
class Step:
    """One command: what is asked about which intent, perhaps with a key that was used before."""

    kind: str
    intent: int
    cents: int
    budgets: frozenset[int]
    verdict: str
    key: int

    def act(self, intent: Intent, hold_id: UUID) -> Act:
        part = min(self.cents, 200)
        authorize = a_warrant(
            intent,
            "authorize",
            [BUDGETS[number] for number in sorted(self.budgets)],
            verdict=self.verdict,
            approval_role="boss" if self.verdict == "pending" else None,
            unsettled="unknown" if self.intent % 2 else "release",
        )
        acts: dict[str, Act] = {
            "declare": Declare(intent),
            "spend": Spend(authorize, intent),
            "authorize": Authorize(authorize, intent.id),
            "execute": Execute(a_warrant(intent, "execute"), intent.id, "vendor:1", part),
            "void": Void(a_warrant(intent, "void"), intent.id),
            "capture": CaptureHold(hold_id, "tool:bank", part),
            "void_hold": VoidHold(hold_id),
            "unknown": MarkUnknown(hold_id),
        }
        return acts[self.kind]


steps = st.builds(
    Step,
    st.sampled_from([*KINDS, "spend", "spend", "execute", "capture"]),
    st.integers(0, INTENTS - 1),
    st.integers(1, 400),
    st.frozensets(st.integers(0, len(BUDGETS) - 1), min_size=1),
    st.sampled_from(["approved", "approved", "approved", "pending", "denied"]),
    st.integers(0, 40),
)


class Log:
    """The road to the database, with the order in which commands went down it."""

    def __init__(self, database: Database) -> None:
        self._road = road(database, TERMS)
        self.order: list[str] = []

    async def __call__(self, commands: Sequence[Command]) -> list[Reply]:
        replies = await self._road(commands)
        for command, reply in zip(commands, replies, strict=True):
            if reply is not POSTPONED:
                self.order.append(command.correlation_id)
        return replies


@dataclass
class Town:
    """A tenant that lives through the steps; what depends on chance is named by when it was first seen."""

    tenant: str
    batches: Batches
    amounts: Sequence[int]
    ids: list[str]
    names: dict[str, str] = field(default_factory=dict)
    holds: dict[int, UUID] = field(default_factory=dict)
    keys: str = field(default_factory=new_id)

    def intent(self, number: int) -> Intent:
        workflow_id = self.ids[INTENTS + number % WORKFLOWS]
        cents = self.amounts[number]
        return an_intent(cents, tenant=self.tenant, workflow_id=workflow_id, intent_id=self.ids[number])

    def commands(self, chunk: Sequence[Step]) -> list[Command]:
        """What the steps ask for, told apart by their numbers."""
        return [
            replace(
                a_command(
                    step.act(self.intent(step.intent), self.holds.get(step.intent, UUID(int=0))),
                    f"{self.keys}-{step.key}",
                    tenant=self.tenant,
                    request=f"{step.kind}-{step.intent}-{step.cents}",
                ),
                correlation_id=str(number),
            )
            for number, step in enumerate(chunk)
        ]

    async def at_once(self, chunk: Sequence[Step]) -> list[Any]:
        """The answers to steps that are all asked for at the same moment."""
        asked = [self._ask(command) for command in self.commands(chunk)]
        return self._told(chunk, await asyncio.gather(*asked))

    async def in_order(self, chunk: Sequence[Step], order: Sequence[int]) -> list[Any]:
        """The answers to the same steps one after the other; those not in `order` come last."""
        commands, answers = self.commands(chunk), {}
        for number in [*order, *(set(range(len(chunk))) - set(order))]:
            answers[number] = await self._ask(commands[number])
        return self._told(chunk, [answers[number] for number in range(len(chunk))])

    def _told(self, chunk: Sequence[Step], answers: Sequence[Any]) -> list[Any]:
        for step, answer in zip(chunk, answers, strict=True):
            if isinstance(answer, Answer) and answer.body.get("hold_id"):
                self.holds[step.intent] = UUID(answer.body["hold_id"])
        return [self._tell(answer) for answer in answers]

    async def _ask(self, command: Any) -> Any:
        try:
            return await self.batches.do(command)
        except Refused as refused:
            return refused

    def _tell(self, answer: Any) -> Any:
        if isinstance(answer, Refused):
            return type(answer).__name__, answer.code
        return answer.status, {name: self._name(name, value) for name, value in answer.body.items()}

    def _name(self, name: str, value: Any) -> Any:
        if name in ("created_at", "executed_at", "expires_at", "decision_id"):
            return value is not None
        if name in ("authorization_id", "hold_id", "journal_entry_id") or (
            name == "id" and value not in self.ids
        ):
            return value and self.names.setdefault(value, f"{name}-{len(self.names)}")
        return value


@pytest.fixture
async def database(ledger_database: LedgerDatabase) -> AsyncIterator[Database]:
    opened = await Database.open(
        ledger_database.treasury, application="test", lock_timeout_ms=5_000, by_key=True
    )
    yield opened
    await opened.close()


def batches(database: Database, commands_max: int = 64, lanes_max: int = 1) -> Batches:
    return Batches(road(database, TERMS), Limits(commands_max, 1_000, lanes_max, 5_000))


LEDGER = {
    "budgets": """SELECT budget_key, budget_window, limit_cents, held_cents, captured_cents
        FROM treasury.budgets WHERE tenant_id = $1 ORDER BY 1, 2""",
    "intents": "SELECT id::text, status FROM treasury.intents WHERE tenant_id = $1 ORDER BY 1",
    "authorizations": """SELECT intent_id::text, status, ceiling_cents, reasons::text, count(*)
        FROM treasury.authorizations WHERE tenant_id = $1 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
    "holds": """SELECT a.intent_id::text, h.status, h.amount_cents, h.captured_cents
        FROM treasury.holds AS h JOIN treasury.authorizations AS a
        ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
        WHERE h.tenant_id = $1 ORDER BY 1, 2, 3, 4""",
    "postings": """SELECT account, direction, sum(amount_cents), count(*)
        FROM treasury.postings WHERE tenant_id = $1 GROUP BY 1, 2 ORDER BY 1, 2""",
    "keys": "SELECT count(*) FROM treasury.idempotency WHERE tenant_id = $1",
    "warrants": "SELECT act, count(*) FROM treasury.warrants WHERE tenant_id = $1 GROUP BY 1 ORDER BY 1",
}
TOLD = """SELECT workflow_id::text, event ->> 'event_type', event -> 'payload' ->> 'intent_id',
    event -> 'payload' ->> 'amount_cents'
FROM treasury.outbox WHERE tenant_id = $1 ORDER BY workflow_id, recorded_at, ordinal"""


async def ledger_of(connection: asyncpg.Connection, tenant: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that a tenant's ledger says, but for what depends on chance."""
    queries = LEDGER | {"told": TOLD}
    return {
        name: [tuple(row) for row in await connection.fetch(query, tenant)] for name, query in queries.items()
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    chunks=st.lists(st.lists(steps, min_size=1, max_size=12), min_size=1, max_size=5),
    amounts=st.lists(st.integers(1, 350), min_size=INTENTS, max_size=INTENTS),
)
async def test_a_batch_and_one_at_a_time_give_the_same_answers_and_the_same_ledger(
    database: Database, chunks: list[list[Step]], amounts: list[int]
) -> None:
    """One at a time is in the order of arrival, but that a command waits for one about the same intent."""
    ids = [new_id() for _ in range(INTENTS + WORKFLOWS)]
    log = Log(database)
    many = Town(f"many-{new_id()}", Batches(log, Limits(64, 1_000, 1, 5_000)), amounts, ids)
    single = Town(f"single-{new_id()}", batches(database, 1), amounts, ids)
    for chunk in chunks:
        log.order.clear()
        answers = await many.at_once(chunk)
        order = [int(number) for number in log.order]
        assert answers == await single.in_order(chunk, order)
    async with database.session() as connection:
        assert await ledger_of(connection, many.tenant) == await ledger_of(connection, single.tenant)
        assert await verify(connection) == []


async def test_a_row_that_the_database_refuses_hurts_nobody_else(database: Database) -> None:
    """A zero byte is text to Python and no text to PostgreSQL."""
    intents = [an_intent(10) for _ in range(9)]
    intents[4] = replace(intents[4], purpose="no\x00text")
    into = batches(database)
    commands = [a_command(Spend(a_warrant(each, "authorize", BUDGETS), each)) for each in intents]
    answers = await asyncio.gather(*(into.do(command) for command in commands), return_exceptions=True)
    assert [isinstance(answer, Answer) for answer in answers] == [number != 4 for number in range(9)]
    async with database.session() as connection:
        held = await connection.fetchval("SELECT max(held_cents) FROM treasury.budgets")
        assert held == 80
        assert await verify(connection) == []


async def test_two_that_turn_out_to_be_about_one_intent_are_decided_in_their_order(
    database: Database,
) -> None:
    """One names the intent, the other its hold: that they are the same is known when both were read."""
    intent = an_intent(10)
    held = await batches(database).do(a_command(Spend(a_warrant(intent, "authorize", BUDGETS), intent)))
    assert held is not None
    void = a_command(Void(a_warrant(intent, "void"), intent.id))
    capture = a_command(CaptureHold(UUID(held.body["hold_id"]), "t", 5))
    into = batches(database)
    answers = await asyncio.gather(into.do(void), into.do(capture))
    refused = (403, "no_authorization_record")
    assert [answer and (answer.status, answer.body.get("code")) for answer in answers] == [
        (200, None),
        refused,
    ]


async def test_two_treasuries_share_budgets_and_keys(ledger_database: LedgerDatabase) -> None:
    """The same commands at both, with the same keys: each is carried out once, and nothing is overspent."""
    databases = [await Database.open(ledger_database.treasury, application="test") for _ in range(2)]
    treasuries = [batches(database) for database in databases]
    intents = [an_intent(30) for _ in range(60)]
    commands = [
        a_command(Spend(a_warrant(each, "authorize", BUDGETS[2:3]), each), f"key-{each.id}")
        for each in intents
    ]
    answers = await asyncio.gather(
        *(treasury.do(command) for command in commands for treasury in treasuries), return_exceptions=True
    )
    pairs = list(zip(answers[::2], answers[1::2], strict=True))
    for one, other in pairs:
        settled = [answer for answer in (one, other) if isinstance(answer, Answer)]
        assert settled, (one, other)
        assert all(answer.body == settled[0].body for answer in settled)
    bodies = [next(a for a in pair if isinstance(a, Answer)).body for pair in pairs]
    assert sum(body["approved"] for body in bodies) == 10
    async with databases[0].session() as connection:
        assert await connection.fetchval("SELECT count(*) FROM treasury.authorizations") == 60
        assert await connection.fetchval("SELECT held_cents FROM treasury.budgets") == 300
        assert await verify(connection) == []
    for database in databases:
        await database.close()


async def test_a_hundred_at_once_with_room_for_one(database: Database) -> None:
    intents = [an_intent(300) for _ in range(100)]
    into = batches(database, 16, 2)
    commands = [a_command(Spend(a_warrant(each, "authorize", BUDGETS[2:3]), each)) for each in intents]
    answers = await asyncio.gather(*(into.do(command) for command in commands))
    assert sum(answer.body["approved"] for answer in answers if answer) == 1


async def until_one_waits(ledger_database: LedgerDatabase) -> None:
    """Ask until some session waits for a lock; within a transaction the answer would never change."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    connection = await asyncpg.connect(ledger_database.admin)
    async with asyncio.timeout(5):
        while not await connection.fetchval(waiting):
            await asyncio.sleep(0.01)
    await connection.close()


async def test_a_workflow_that_another_begins_meanwhile_is_looked_for_again(
    database: Database, ledger_database: LedgerDatabase
) -> None:
    intent = an_intent(10)
    other = await asyncpg.connect(ledger_database.treasury)
    async with other.transaction():
        await other.execute(
            "INSERT INTO treasury.workflows (tenant_id, id) VALUES ($1, $2)", "acme", intent.workflow_id
        )
        command = a_command(Spend(a_warrant(intent, "authorize", BUDGETS), intent))
        asked = asyncio.create_task(batches(database).do(command))
        await until_one_waits(ledger_database)
    answer = await asked
    assert answer is not None
    assert answer.body["approved"]
    await other.close()


async def test_a_window_that_another_begins_meanwhile_is_looked_for_again(
    database: Database, ledger_database: LedgerDatabase
) -> None:
    intent = an_intent(10)
    other = await asyncpg.connect(ledger_database.treasury)
    async with other.transaction():
        await other.execute(
            """INSERT INTO treasury.budgets (
                tenant_id, budget_key, budget_window, window_start, currency, limit_cents, held_cents,
                captured_cents
            ) VALUES ('acme', 'agent:scout', 'lifetime', 'epoch', 'USD', 700, 0, 0)"""
        )
        command = a_command(Spend(a_warrant(intent, "authorize", BUDGETS[3:]), intent))
        asked = asyncio.create_task(batches(database).do(command))
        await until_one_waits(ledger_database)
    answer = await asked
    assert answer is not None
    assert answer.body["approved"]
    await other.close()


async def test_an_intent_whose_workflow_is_not_locked_is_looked_for_again(database: Database) -> None:
    intent = an_intent(10)
    await batches(database).do(a_command(Declare(intent)))
    void = a_command(Void(a_warrant(intent, "void"), intent.id))
    async with database.session() as connection:
        with pytest.raises(RowsMoved):
            await know(connection, [void], {})


@pytest.mark.requirement("TRE-07")
async def test_a_hold_whose_outcome_is_known_is_not_reconciled(database: Database) -> None:
    intent = an_intent(10)
    held = await batches(database).do(a_command(Spend(a_warrant(intent, "authorize", BUDGETS), intent)))
    assert held is not None

    async def work(commit: Commit) -> Answer:
        await reconcile(commit, {UUID(held.body["hold_id"]): None})
        return Answer(200, {})

    asked = Asked("", "acme", "olga", new_id(), "/v1/thing", "k", "r")
    assert (await once(database, asked, 50, work)).body["code"] == "duplicate"
