"""`ledger verify` finds what somebody with the administrator's rights changed behind the ledger's back."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from tests.fixtures.treasury import OPERATOR_TOKEN, LedgerDatabase, Spend, Treasury
from tollhouse.ledger_commands import ledger_app
from tollhouse.local.data import LOCK, Lock
from tollhouse.local.ready_file import READY_FILE
from treasury.edge.verify import CHECKS, verify

pytestmark = pytest.mark.requirement("TRE-19")

NO_STACK = (
    "no stack is running in {}: start one there (tollhouse up), or name its folder with --data DIR, "
    "or the ledger with --dsn\n"
)
TAMPERINGS = [
    ("UPDATE treasury.postings SET amount_cents = 4999 WHERE direction = 'credit'", "entries_balance"),
    ("UPDATE treasury.postings SET journal_entry_id = uuidv7()", "postings_have_entries"),
    ("UPDATE treasury.journal_entries SET authorization_id = uuidv7()", "entries_have_authorizations"),
    ("DELETE FROM treasury.executions", "executions_match_entries"),
    ("UPDATE treasury.account_balances SET debits_cents = debits_cents + 1", "account_balances"),
    ("DELETE FROM treasury.account_balances WHERE account = 'vendor:1'", "account_balances"),
    ("UPDATE treasury.holds SET captured_cents = 1 WHERE status = 'captured'", "holds_match_executions"),
    ("UPDATE treasury.budgets SET held_cents = held_cents - 1", "budgets"),
    ("UPDATE treasury.holds SET status = 'voided' WHERE status = 'placed'", "states"),
    ("UPDATE treasury.holds SET amount_cents = 701 WHERE status = 'placed'", "holds_match_executions"),
    ("UPDATE treasury.intents SET status = 'authorized' WHERE status = 'executed'", "intents"),
    ("UPDATE treasury.idempotency SET status = NULL, answer = NULL", "idempotency"),
    ("UPDATE treasury.idempotency SET answer = answer || '{\"amount_cents\": 1}'", "idempotency"),
    ('UPDATE treasury.idempotency SET answer = answer || \'{"authorization_id": "x"}\'', "idempotency"),
    ('UPDATE treasury.outbox SET event = event || \'{"tenant": "globex"}\'', "outbox_itself"),
    (
        "UPDATE treasury.outbox SET event = jsonb_set(event, '{payload,amount_cents}', '1')",
        "outbox_itself",
    ),
    ("UPDATE treasury.journal_entries SET kind = 'adjustment' WHERE kind = 'payment'", "compensations"),
    ("UPDATE treasury.journal_entries SET kind = 'top_up' WHERE kind = 'payment'", "top_ups"),
    ("UPDATE treasury.budgets SET topped_up_cents = 5", "top_ups"),
    ("UPDATE treasury.budgets SET level = 'low'", "levels"),
    ("DELETE FROM treasury.outbox WHERE event ->> 'event_type' = 'treasury.reconciled'", "outbox"),
    ("DELETE FROM treasury.outbox WHERE event ->> 'event_type' = 'treasury.break_resolved'", "outbox"),
    ("UPDATE treasury.statement_lines SET amount_cents = 1", "matches"),
    ("DELETE FROM treasury.break_entries", "compensations"),
    ("UPDATE treasury.journal_entries SET reverses_id = id WHERE kind = 'reversal'", "compensations"),
    ("DELETE FROM treasury.outbox WHERE event ->> 'event_type' = 'treasury.executed'", "outbox"),
    *(
        (f"DELETE FROM treasury.outbox WHERE event ->> 'event_type' = 'treasury.{told}' {more}", "outbox")
        for told, more in (
            ("denied", ""),
            ("hold_unknown", ""),
            ("pending", ""),
            ("voided", ""),
            *(
                ("authorized", f"AND workflow_id IN (SELECT workflow_id FROM treasury.{having})")
                for having in (
                    "intents WHERE status = 'authorized'",
                    "intents WHERE status = 'executed'",
                    "intents WHERE status = 'voided'",
                )
            ),
        )
    ),
]


async def some_life(treasury: Treasury) -> Spend:
    gateway = treasury.gateway
    executed, voided = Spend(), Spend()
    await gateway.spend(executed)
    await gateway.execute(executed)
    await gateway.spend(Spend(700))
    await gateway.spend(voided)
    await gateway.void(voided)
    await gateway.spend(Spend(), verdict="denied")
    await gateway.spend(Spend(), verdict="pending", approval_role="executive")
    unknown = (await gateway.spend(Spend(5), unsettled="unknown")).json()
    await gateway.post(f"/v1/holds/{unknown['hold_id']}/unknown", {})
    return executed


async def reconcile(treasury: Treasury, executed: Spend) -> None:
    """One line matched, one that is missing here posted, one that is missing there reversed."""
    missing = Spend(payee="bank")
    await treasury.gateway.spend(missing)
    await treasury.gateway.execute(missing, account="vendor:1")
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    lines = [
        {"reference": reference, "amount_cents": 5000, "currency": "USD"}
        for reference in (executed.id, "ch_1")
    ]
    path = "/v1/reconciliations"
    body = {"provider": "bank", "lines": lines}
    found = (await treasury.http.post(path, json=body, headers=headers)).json()
    for broken in found["breaks"]:
        action = "reverse" if broken["kind"] == "missing_in_statement" else "post"
        resolve = f"{path}/{found['id']}/breaks/{broken['id']}/resolve"
        answer = await treasury.http.post(resolve, json={"action": action}, headers=headers)
        assert answer.status_code == 200


@pytest.mark.parametrize(("tampering", "check"), TAMPERINGS)
async def test_every_tampering_is_found(treasury_service: Treasury, tampering: str, check: str) -> None:
    await reconcile(treasury_service, await some_life(treasury_service))
    connection = await asyncpg.connect(treasury_service.database.admin)
    assert await verify(connection) == []
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(tampering)
    found = {difference.check: difference for difference in await verify(connection)}
    assert check in found
    assert found[check].tenant == "acme"
    assert found[check].expected != found[check].found
    await connection.close()


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(ledger_app, list(arguments))
    return result.exit_code, result.output


@pytest.fixture
def data(treasury_service: Treasury, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """`--data` with the folder of a stack that runs, as far as these commands look."""
    (tmp_path / READY_FILE).write_text(json.dumps({"postgres": treasury_service.database.treasury}))
    with Lock(tmp_path / LOCK):
        yield "--data", str(tmp_path)


@pytest.mark.requirement("TRE-20")
async def test_the_commands_tell_it(treasury_service: Treasury, data: tuple[str, str]) -> None:
    import asyncio

    await some_life(treasury_service)
    code, text = await asyncio.to_thread(told, "verify", *data)
    assert (code, "The ledger is sound." in text) == (0, True)
    assert all(what in text for what in CHECKS.values())
    code, text = await asyncio.to_thread(told, "trial-balance", *data, "--format", "json")
    assert code == 0
    assert {(row["account"], row["debits_cents"], row["credits_cents"]) for row in json.loads(text)} == {
        ("vendor:1", 5000, 0),
        ("tollhouse:operating", 0, 5000),
    }
    code, text = await asyncio.to_thread(told, "statement", "vendor:1", *data, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["direction"], row["amount"], row["balance_cents"]) == ("debit", "50.00", "5000")
    code, text = await asyncio.to_thread(told, "statement", "nobody", *data)
    assert (code, "nothing was posted to an account nobody: trial-balance lists" in text) == (1, True)
    code, text = await asyncio.to_thread(told, "statement", "vendor:1", *data, "--tenant", "none")
    assert (code, "an account vendor:1 of the tenant none" in text) == (1, True)
    code, _text = await asyncio.to_thread(told, "trial-balance", *data, "--tenant", "acme")
    assert code == 0
    await treasury_service.sql("UPDATE treasury.account_balances SET debits_cents = debits_cents + 1")
    dsn = ("--dsn", treasury_service.database.treasury)
    code, text = await asyncio.to_thread(told, "verify", *dsn)
    assert (code, "account_balances tollhouse:operating USD" in text) == (1, True)
    code, _text = await asyncio.to_thread(told, "trial-balance", *dsn)
    assert code == 1


@pytest.mark.requirement("TRE-19")
def test_without_a_ledger_they_say_so(tmp_path: Path) -> None:
    code, text = told("verify", "--data", str(tmp_path))
    assert (code, text) == (1, NO_STACK.format(tmp_path))
    code, text = told("verify", "--dsn", "postgresql://nobody@127.0.0.1:1/x")
    assert (code, "cannot be reached" in text) == (1, True)


async def test_no_check_reads_a_table_anew_for_each_row_of_another(ledger_database: LedgerDatabase) -> None:
    """The planner knows the tables from when they were empty, as in a ledger that grew up fast."""
    connection = await asyncpg.connect(ledger_database.admin)
    await connection.execute("ANALYZE; LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0")
    plans: list[str] = []
    connection.add_log_listener(lambda _, message: plans.append(str(message.as_dict()["message"])))
    await connection.execute("SET client_min_messages = log")
    assert await verify(connection) == []
    await connection.close()
    assert len([plan for plan in plans if "plan:" in plan]) >= len(CHECKS)
    assert [plan for plan in plans if "Nested Loop" in plan] == []
