"""A ledger with a past: as many executed spends as wanted, written by sets and not by commands.

Written as the administrator with the triggers asleep; what they would have kept (balances, budgets) is
written too, so that `ledger verify` finds nothing. The past is of 10,000 budgets and a workflow for each
hundred spends.
"""

from collections.abc import Callable
from typing import Final

import asyncpg

from bench.ledger_spend import LIMIT_CENTS, TENANT

BUDGETS: Final = 10_000
CHUNK: Final = 50_000

_SEED: Final = f"""
CREATE TEMP TABLE seeded ON COMMIT DROP AS
SELECT
    n,
    md5('workflow' || (n / 100))::uuid AS workflow_id,
    uuidv7() AS intent_id,
    uuidv7() AS warrant_id,
    uuidv7() AS authorization_id,
    uuidv7() AS hold_id,
    uuidv7() AS entry_id,
    uuidv7() AS execution_id,
    'agent:' || (n % {BUDGETS}) AS budget_key,
    date_trunc('day', now()) AS day,
    now() AS at
FROM generate_series($first::bigint, $last::bigint) AS n;

INSERT INTO treasury.workflows (tenant_id, id)
SELECT DISTINCT '{TENANT}', workflow_id FROM seeded ON CONFLICT DO NOTHING;

INSERT INTO treasury.warrants (tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
SELECT '{TENANT}', warrant_id, 'gateway', 'authorize', intent_id, intent_id::text, at FROM seeded;

INSERT INTO treasury.intents
(tenant_id, id, workflow_id, amount_cents, currency, purpose, payee, principal, status)
SELECT '{TENANT}', intent_id, workflow_id, 5, 'USD', 'tool_call', 'bank', 'scout', 'executed' FROM seeded;

INSERT INTO treasury.authorizations
(tenant_id, id, intent_id, workflow_id, warrant_id, principal, role, status, reasons, ceiling_cents, currency,
 decision_id, policy_version, policy_revision)
SELECT '{TENANT}', authorization_id, intent_id, workflow_id, warrant_id, 'scout', 'executor', 'executed',
    '[{{"code": "within_daily_budget", "message": "the spend is within its budgets"}}]', 5, 'USD',
    intent_id::text, '1.0', repeat('0', 64)
FROM seeded;

INSERT INTO treasury.holds
(tenant_id, id, authorization_id, workflow_id, principal, gateway, amount_cents, captured_cents, currency,
 status, unsettled, placed_at, expires_at)
SELECT '{TENANT}', hold_id, authorization_id, workflow_id, 'scout', 'gateway', 5, 5, 'USD',
    'captured', 'unknown', at, at
FROM seeded;

INSERT INTO treasury.budgets
(tenant_id, budget_key, budget_window, window_start, currency, limit_cents, held_cents, captured_cents)
SELECT '{TENANT}', budget_key, 'day', day, 'USD', {LIMIT_CENTS}, 0, 5 * count(*)
FROM seeded GROUP BY budget_key, day
ON CONFLICT (tenant_id, budget_key, budget_window, window_start, currency)
DO UPDATE SET captured_cents = budgets.captured_cents + excluded.captured_cents;

INSERT INTO treasury.hold_charges (tenant_id, hold_id, budget_key, budget_window, window_start, currency)
SELECT '{TENANT}', hold_id, budget_key, 'day', day, 'USD' FROM seeded;

INSERT INTO treasury.journal_entries (tenant_id, id, workflow_id, authorization_id, amount_cents, currency)
SELECT '{TENANT}', entry_id, workflow_id, authorization_id, 5, 'USD' FROM seeded;

INSERT INTO treasury.postings
(tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents, currency)
SELECT '{TENANT}', uuidv7(), entry_id, workflow_id, authorization_id, side.account, side.direction, 5, 'USD'
FROM seeded
CROSS JOIN (VALUES ('tool:bank', 'debit'), ('tollhouse:operating', 'credit')) AS side (account, direction);

INSERT INTO treasury.account_balances (tenant_id, account, currency, debits_cents, credits_cents)
SELECT '{TENANT}', side.account, 'USD', side.debit * 5 * count(*), side.credit * 5 * count(*)
FROM seeded
CROSS JOIN (VALUES ('tool:bank', 1, 0), ('tollhouse:operating', 0, 1)) AS side (account, debit, credit)
GROUP BY side.account, side.debit, side.credit
ON CONFLICT (tenant_id, account, currency) DO UPDATE SET
    debits_cents = account_balances.debits_cents + excluded.debits_cents,
    credits_cents = account_balances.credits_cents + excluded.credits_cents;

INSERT INTO treasury.executions
(tenant_id, id, hold_id, authorization_id, workflow_id, journal_entry_id, amount_cents, currency,
 recipient_account)
SELECT '{TENANT}', execution_id, hold_id, authorization_id, workflow_id, entry_id, 5, 'USD', 'tool:bank'
FROM seeded;

INSERT INTO treasury.idempotency (tenant_id, key, request_sha256, status, answer)
SELECT '{TENANT}', act || hold_id, repeat('0', 64), 200,
    jsonb_build_object('hold_id', hold_id, 'authorization_id', authorization_id, 'status', 'approved')
FROM seeded CROSS JOIN (VALUES ('hold:'), ('capture:')) AS acts (act);

INSERT INTO treasury.outbox (tenant_id, event_id, workflow_id, ordinal, event, published_at)
SELECT '{TENANT}', uuidv7(), workflow_id, told.ordinal,
    jsonb_build_object(
        'event_type', told.event_type, 'workflow_id', workflow_id,
        'payload', jsonb_build_object('intent_id', intent_id, 'execution_id', execution_id, 'amount_cents', 5)
    ),
    at
FROM seeded
CROSS JOIN (
    VALUES (1, 'treasury.intent_created'), (2, 'treasury.authorized'), (3, 'treasury.executed')
) AS told (ordinal, event_type);
"""


async def seed(admin_dsn: str, entries: int, tell: Callable[[int], None]) -> None:
    """Bring the ledger to this many entries; `tell` is given how many there are after each chunk."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        there = await connection.fetchval("SELECT count(*) FROM treasury.journal_entries")
        for first in range(there, entries, CHUNK):
            last = min(first + CHUNK, entries) - 1
            statements = _SEED.replace("$first", str(first)).replace("$last", str(last))
            async with connection.transaction():
                await connection.execute(statements)
            tell(last + 1)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def begin_workflows(admin_dsn: str, workflows: list[str], budget: str) -> None:
    """The workflows of the clients and the budget of the hot run, which the peer does not make itself."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(
            "INSERT INTO treasury.workflows (tenant_id, id) SELECT $1, unnest($2::uuid[])", TENANT, workflows
        )
        await connection.execute(
            """INSERT INTO treasury.budgets
            (tenant_id, budget_key, budget_window, window_start, currency, limit_cents, held_cents,
             captured_cents)
            VALUES ($1, $2, 'day', date_trunc('day', now()), 'USD', $3, 0, 0)""",
            TENANT,
            budget,
            LIMIT_CENTS,
        )
    finally:
        await connection.close()
