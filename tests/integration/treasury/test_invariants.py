"""What the database refuses even from the service's own role: each rule attacked by direct SQL."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from schemas.ids import new_id
from tests.fixtures.treasury import Spend, Treasury
from treasury.core.authorization import AUTHORIZATION, HOLD
from treasury.core.intent import INTENT

pytestmark = [pytest.mark.requirement("TRE-08"), pytest.mark.requirement("TRE-10")]

POSTING = """INSERT INTO treasury.postings
(tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents, currency)
VALUES ('acme', $1, $2, $3, $4, $5, $6, $7, 'USD')"""
WHOLE = """WITH posted AS (
    INSERT INTO treasury.journal_entries
    (tenant_id, id, workflow_id, authorization_id, amount_cents, currency)
    SELECT 'acme', $1::uuid, $2::uuid, $3::uuid, $4::bigint, 'USD' WHERE NOT $5::boolean
), sides AS (
    INSERT INTO treasury.postings (
        tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents,
        currency
    )
    SELECT 'acme', gen_random_uuid(), $1::uuid, $2::uuid, $3::uuid, 'thief', side.direction, side.cents, 'USD'
    FROM unnest($6::text[], $7::bigint[]) AS side (direction, cents)
), executed AS (
    INSERT INTO treasury.executions (
        tenant_id, id, hold_id, authorization_id, workflow_id, journal_entry_id, amount_cents, currency,
        recipient_account
    )
    SELECT 'acme', gen_random_uuid(), $8::uuid, $3, $2, $1, $9::bigint, 'USD', 'thief'
    WHERE $9::bigint IS NOT NULL
)
UPDATE treasury.holds SET captured_cents = $10::bigint, status = coalesce($11::text, status)
WHERE id = $8 AND $10::bigint IS NOT NULL"""

WARRANT = """INSERT INTO treasury.warrants (tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
VALUES ('acme', $1, 'gateway', $2, $3, 'd', now())"""


class Thief:
    """The service's own role, gone bad: it has an approved spend and an executed one."""

    def __init__(
        self, connection: asyncpg.Connection, approved: dict[str, Any], executed: dict[str, Any]
    ) -> None:
        self.connection = connection
        self.approved = approved
        self.executed = executed

    async def post(
        self,
        amount_cents: int,
        postings: Sequence[tuple[str, int]],
        executed_cents: int | None = None,
        captured_cents: int | None = None,
        spend: dict[str, Any] | None = None,
        entry_id: str | None = None,
        hold_status: str | None = None,
    ) -> None:
        """An entry with these (direction, amount) postings, and what goes with it, in one statement."""
        spend = spend or self.approved
        await self.connection.execute(
            WHOLE,
            entry_id or new_id(),
            spend["workflow_id"],
            spend["authorization_id"],
            amount_cents,
            entry_id is not None,
            [direction for direction, _ in postings],
            [cents for _, cents in postings],
            spend["hold_id"],
            executed_cents,
            captured_cents,
            hold_status,
        )


@pytest.fixture
async def thief(treasury_service: Treasury) -> AsyncIterator[Thief]:
    gateway = treasury_service.gateway
    open_spend, done_spend = Spend(1_000), Spend(500)
    approved = (await gateway.spend(open_spend)).json() | {"workflow_id": open_spend.workflow_id}
    executed = (await gateway.spend(done_spend)).json() | {"workflow_id": done_spend.workflow_id}
    executed |= {"entry_id": (await gateway.execute(done_spend)).json()["journal_entry_id"]}
    connection = await asyncpg.connect(treasury_service.database.treasury)
    yield Thief(connection, approved, executed)
    await connection.close()


async def test_a_whole_balanced_capture_is_what_the_rules_let_through(thief: Thief) -> None:
    await thief.post(1_000, [("debit", 1_000), ("credit", 1_000)], 1_000, 1_000)


@pytest.mark.parametrize(
    ("amount_cents", "postings", "executed_cents", "captured_cents"),
    [
        pytest.param(100, [("debit", 100), ("credit", 99)], 100, 100, id="debits are not credits"),
        pytest.param(100, [("debit", 90), ("credit", 90)], 100, 100, id="less than declared"),
        pytest.param(100, [], 100, 100, id="no postings"),
        pytest.param(100, [("debit", 100), ("credit", 100)], None, None, id="no execution behind it"),
        pytest.param(100, [("debit", 100), ("credit", 100)], 60, 60, id="another amount executed"),
        pytest.param(100, [("debit", 100), ("credit", 100)], 100, None, id="the hold does not know"),
        pytest.param(1_001, [("debit", 1_001), ("credit", 1_001)], 1_001, 1_001, id="more than the hold"),
    ],
)
async def test_an_entry_that_does_not_add_up_is_refused(
    thief: Thief,
    amount_cents: int,
    postings: list[tuple[str, int]],
    executed_cents: int | None,
    captured_cents: int | None,
) -> None:
    with pytest.raises((asyncpg.PostgresError, asyncpg.CheckViolationError)) as refused:
        await thief.post(amount_cents, postings, executed_cents, captured_cents)
    assert refused.value.sqlstate in ("TL001", "23514")
    assert await thief.connection.fetchval("SELECT count(*) FROM treasury.journal_entries") == 1


async def test_a_balanced_addition_to_an_old_entry_is_refused(thief: Thief) -> None:
    with pytest.raises(asyncpg.PostgresError, match="declares 500 but has debits of 507"):
        await thief.post(
            0, [("debit", 7), ("credit", 7)], spend=thief.executed, entry_id=thief.executed["entry_id"]
        )


async def test_an_entry_comes_with_its_postings(thief: Thief) -> None:
    with pytest.raises(asyncpg.PostgresError, match="is not whole"):
        await thief.post(100, [], 100, 100)


@pytest.mark.requirement("TRE-12")
@pytest.mark.parametrize("ended", ["expired", "voided", "captured", "out of time"])
async def test_a_hold_that_has_ended_is_never_captured(
    thief: Thief, treasury_service: Treasury, ended: str
) -> None:
    spend, cents = thief.approved, 100
    if ended == "out of time":
        await treasury_service.age_holds()
    elif ended == "captured":
        await thief.post(cents, [("debit", cents), ("credit", cents)], cents, cents, hold_status="captured")
    else:
        await thief.connection.execute(
            "UPDATE treasury.holds SET status = $2 WHERE id = $1", spend["hold_id"], ended
        )
    captured_cents = 2 * cents if ended == "captured" else cents
    with pytest.raises(asyncpg.PostgresError, match="no approved authorization with an open hold"):
        await thief.post(cents, [("debit", cents), ("credit", cents)], cents, captured_cents)


@pytest.mark.requirement("TRE-02")
@pytest.mark.parametrize("status", ["voided", "expired", "executed"])
async def test_only_an_approved_authorization_is_captured(thief: Thief, status: str) -> None:
    await thief.connection.execute(
        "UPDATE treasury.authorizations SET status = $2 WHERE id = $1",
        thief.approved["authorization_id"],
        status,
    )
    with pytest.raises(asyncpg.PostgresError, match="no approved authorization"):
        await thief.post(1_000, [("debit", 1_000), ("credit", 1_000)], 1_000, 1_000)


@pytest.mark.requirement("TRE-12")
async def test_nothing_is_captured_that_was_not_executed(thief: Thief) -> None:
    for captured_cents in (1, 1_000):
        with pytest.raises(asyncpg.PostgresError, match="no approved authorization"):
            await thief.connection.execute(
                "UPDATE treasury.holds SET captured_cents = $2 WHERE id = $1",
                thief.approved["hold_id"],
                captured_cents,
            )
    columns = """tenant_id, authorization_id, workflow_id, principal, gateway, amount_cents, currency,
        unsettled, placed_at, expires_at"""
    with pytest.raises(asyncpg.PostgresError, match="is new and has captured"):
        await thief.connection.execute(
            f"INSERT INTO treasury.holds (id, status, captured_cents, {columns})"
            f" SELECT gen_random_uuid(), 'placed', 1, {columns} FROM treasury.holds LIMIT 1"
        )


@pytest.mark.parametrize("table", ["journal_entries", "postings", "executions", "warrants"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE treasury.{} SET tenant_id = 'x'", "DELETE FROM treasury.{}", "TRUNCATE treasury.{} CASCADE"],
)
@pytest.mark.parametrize("role", ["treasury", "owner"])
async def test_entries_are_never_changed(
    thief: Thief, treasury_service: Treasury, role: str, statement: str, table: str
) -> None:
    connection = await asyncpg.connect(getattr(treasury_service.database, role))
    with pytest.raises(asyncpg.PostgresError) as refused:
        await connection.execute(statement.format(table))
    assert refused.value.sqlstate == {"treasury": "42501", "owner": "TL001"}[role]
    await connection.close()


@pytest.mark.requirement("TRE-09")
@pytest.mark.parametrize("orphan", ["workflow", "authorization", "entry"])
async def test_an_orphan_posting_is_refused(thief: Thief, orphan: str) -> None:
    spend = thief.executed
    names = {
        "workflow": (spend["entry_id"], new_id(), spend["authorization_id"]),
        "authorization": (spend["entry_id"], spend["workflow_id"], new_id()),
        "entry": (new_id(), spend["workflow_id"], spend["authorization_id"]),
    }
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await thief.connection.execute(POSTING, new_id(), *names[orphan], "thief", "debit", 5)
    with pytest.raises(asyncpg.NotNullViolationError):
        await thief.connection.execute(POSTING, new_id(), spend["entry_id"], None, None, "thief", "debit", 5)


@pytest.mark.requirement("TRE-02")
@pytest.mark.parametrize("lifecycle", [INTENT, AUTHORIZATION, HOLD], ids=lambda lifecycle: lifecycle.noun)
async def test_only_the_steps_of_the_table_are_taken(
    thief: Thief, treasury_service: Treasury, lifecycle: Any
) -> None:
    rows = await treasury_service.sql(
        "SELECT noun, from_status, to_status FROM treasury.transitions WHERE noun = $1", lifecycle.noun
    )
    assert {tuple(row) for row in rows} == lifecycle.pairs()
    table = f"treasury.{lifecycle.noun}s"
    found = await thief.connection.fetch(f"SELECT id, status FROM {table}")
    states = {new for _noun, _old, new in lifecycle.pairs()} | {"stolen", ""}
    for row in found:
        for state in states - lifecycle.moves.get(row["status"], frozenset()) - {row["status"]}:
            with pytest.raises(asyncpg.PostgresError, match="cannot go from"):
                await thief.connection.execute(
                    f"UPDATE {table} SET status = $2 WHERE id = $1", row["id"], state
                )


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize("act", ["execute", "void"])
async def test_the_hold_of_a_paid_call_is_not_ended_in_the_commit_of_an_agents_warrant(
    treasury_service: Treasury, act: str
) -> None:
    gateway, sent, waiting, failed = treasury_service.gateway, Spend(100), Spend(100), Spend(100)
    placed = (await gateway.spend(sent, unsettled="unknown")).json()
    beside = (await gateway.spend(failed, unsettled="unknown")).json()
    pending = {"verdict": "pending", "approval_role": "executive"}
    asked = (await gateway.spend(waiting, unsettled="unknown", **pending)).json()
    connection = await asyncpg.connect(treasury_service.database.treasury)

    async def end(hold: dict[str, Any], change: str) -> None:
        async with connection.transaction():
            await connection.execute(WARRANT, new_id(), act, hold["intent_id"])
            await connection.execute(f"UPDATE treasury.holds SET {change} WHERE id = $1", hold["hold_id"])

    for change in ("status = 'voided'", "status = 'captured'", "captured_cents = 100"):
        with pytest.raises(asyncpg.PostgresError, match="which its gateway alone settles"):
            await end(placed, change)
    await end(placed, "status = 'unknown'")
    await end(asked, "status = 'voided'")
    await end(beside | {"intent_id": placed["intent_id"]}, "status = 'voided'")
    await connection.close()


@pytest.mark.requirement("TRE-11")
async def test_a_budget_never_rises_above_its_limit(thief: Thief) -> None:
    update = "UPDATE treasury.budgets SET {}"
    with pytest.raises(asyncpg.PostgresError, match="would rise to"):
        await thief.connection.execute(update.format("held_cents = limit_cents"))
    await thief.connection.execute(update.format("limit_cents = 10"))
    await thief.connection.execute(update.format("held_cents = held_cents - 1"))
    with pytest.raises(asyncpg.PostgresError, match="would rise to"):
        await thief.connection.execute(update.format("held_cents = held_cents + 1"))


@pytest.mark.requirement("TRE-03")
async def test_a_nonce_is_used_once_and_an_intent_has_one_live_authorization(thief: Thief) -> None:
    columns = "tenant_id, id, gateway, act, intent_id, decision_id, expires_at"
    with pytest.raises(asyncpg.UniqueViolationError):
        await thief.connection.execute(
            f"INSERT INTO treasury.warrants ({columns}) SELECT {columns} FROM treasury.warrants"
        )
    copied = """tenant_id, intent_id, workflow_id, principal, role, reasons, ceiling_cents, currency,
        decision_id, policy_version, policy_revision"""
    fresh = new_id()
    await thief.connection.execute(
        f"INSERT INTO treasury.warrants ({columns}) SELECT tenant_id, $1, gateway, act, intent_id,"
        " decision_id, expires_at FROM treasury.warrants LIMIT 1",
        fresh,
    )
    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_authorization"):
        await thief.connection.execute(
            f"INSERT INTO treasury.authorizations (id, warrant_id, status, {copied})"
            f" SELECT $1, $2, 'approved', {copied} FROM treasury.authorizations WHERE id = $3",
            new_id(),
            fresh,
            thief.approved["authorization_id"],
        )


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("treasury", "UPDATE treasury.account_balances SET debits_cents = 0"),
        ("treasury", "UPDATE treasury.authorizations SET ceiling_cents = 9"),
        ("treasury", "INSERT INTO treasury.transitions VALUES ('hold', 'expired', 'placed')"),
        ("treasury", "DELETE FROM treasury.outbox"),
        ("treasury", "ALTER TABLE treasury.postings DISABLE TRIGGER ALL"),
        ("treasury", "CREATE TABLE public.loot (id integer)"),
        ("treasury", "SET ROLE tollhouse_owner"),
        ("relay", "SELECT * FROM treasury.holds"),
        ("relay", "UPDATE treasury.outbox SET event = '{}'"),
        ("control", "SELECT * FROM treasury.outbox"),
    ],
)
async def test_each_role_may_do_its_own_work_alone(ledger_database: Any, role: str, statement: str) -> None:
    connection = await asyncpg.connect(getattr(ledger_database, role))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


@pytest.mark.requirement("SEC-03")
async def test_nobody_gets_in_without_a_password(ledger_database: Any) -> None:
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(ledger_database.treasury)
    for netloc in (
        f"tollhouse_treasury:wrong@{parts.hostname}:{parts.port}",
        f"tollhouse_treasury@{parts.hostname}:{parts.port}",
    ):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(urlunsplit(parts._replace(netloc=netloc)))
    connection = await asyncpg.connect(ledger_database.admin)
    verifiers = await connection.fetch("SELECT rolpassword FROM pg_authid WHERE rolname LIKE 'tollhouse_%'")
    assert all(row["rolpassword"].startswith("SCRAM-SHA-256$") for row in verifiers)
    await connection.close()
