"""The peer: the ledger as one writes it first, a database transaction a command and a statement a row.

Same tables, same triggers, same durability; the budget's row is locked as late as its rules allow. What it
leaves out of what the treasury does (schemas, warrants, refusals) is to its advantage.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import orjson

from bench.ledger_spend import LIMIT_CENTS, Spend
from schemas.ids import new_id

_CLAIM: Final = "INSERT INTO treasury.idempotency (tenant_id, key, request_sha256) VALUES ($1, $2, $3)"
_ANSWER: Final = "UPDATE treasury.idempotency SET status = 200, answer = $3 WHERE tenant_id = $1 AND key = $2"
_LOCK_WORKFLOW: Final = """SELECT clock_timestamp() FROM treasury.workflows
WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE"""
_WARRANT: Final = """INSERT INTO treasury.warrants
(tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
VALUES ($1, $2, 'gateway', 'authorize', $3, $4, $5)"""
_INTENT: Final = """INSERT INTO treasury.intents
(tenant_id, id, workflow_id, amount_cents, currency, purpose, payee, principal, status)
VALUES ($1, $2, $3, $4, 'USD', 'tool_call', 'bank', 'scout', 'authorized')"""
_AUTHORIZATION: Final = """INSERT INTO treasury.authorizations
(tenant_id, id, intent_id, workflow_id, warrant_id, principal, role, status, reasons, ceiling_cents, currency,
 decision_id, policy_version, policy_revision)
VALUES ($1, $2, $3, $4, $5, 'scout', 'executor', 'approved', '[]', $6, 'USD', $7, '1.0', 'r')"""
_BUDGET: Final = """SELECT held_cents, captured_cents FROM treasury.budgets
WHERE tenant_id = $1 AND budget_key = $2 AND budget_window = 'day' AND window_start = $3
FOR NO KEY UPDATE"""
_HOLD: Final = """INSERT INTO treasury.holds
(tenant_id, id, authorization_id, workflow_id, principal, gateway, amount_cents, currency, status, unsettled,
 placed_at, expires_at)
VALUES ($1, $2, $3, $4, 'scout', 'gateway', $5, 'USD', 'placed', 'unknown', $6,
 $6::timestamptz + interval '15 min')"""
_CHARGE: Final = """INSERT INTO treasury.hold_charges
(tenant_id, hold_id, budget_key, budget_window, window_start, currency)
VALUES ($1, $2, $3, 'day', $4, 'USD')"""
_CHANGE_BUDGET: Final = """UPDATE treasury.budgets
SET limit_cents = $4, held_cents = held_cents + $5, captured_cents = captured_cents + $6
WHERE tenant_id = $1 AND budget_key = $2 AND budget_window = 'day' AND window_start = $3"""
_READ_HOLD: Final = """SELECT h.status, h.amount_cents, h.authorization_id, a.intent_id, c.window_start
FROM treasury.holds AS h
JOIN treasury.authorizations AS a ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
JOIN treasury.hold_charges AS c ON c.tenant_id = h.tenant_id AND c.hold_id = h.id
WHERE h.tenant_id = $1 AND h.id = $2"""
_POST: Final = """WITH posted AS (
    INSERT INTO treasury.journal_entries
    (tenant_id, id, workflow_id, authorization_id, amount_cents, currency)
    VALUES ($1, $2, $3, $4, $5, 'USD')
), sides AS (
    INSERT INTO treasury.postings (
        tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents,
        currency
    ) VALUES
    ($1, $6, $2, $3, $4, 'tool:bank', 'debit', $5, 'USD'),
    ($1, $7, $2, $3, $4, 'tollhouse:operating', 'credit', $5, 'USD')
), executed AS (
    INSERT INTO treasury.executions (
        tenant_id, id, hold_id, authorization_id, workflow_id, journal_entry_id, amount_cents, currency,
        recipient_account
    ) VALUES ($1, $8, $9, $4, $3, $2, $5, 'USD', 'tool:bank')
)
UPDATE treasury.holds SET status = 'captured', captured_cents = $5 WHERE tenant_id = $1 AND id = $9"""
_MOVE_AUTHORIZATION: Final = (
    "UPDATE treasury.authorizations SET status = 'executed' WHERE tenant_id = $1 AND id = $2"
)
_MOVE_INTENT: Final = "UPDATE treasury.intents SET status = 'executed' WHERE tenant_id = $1 AND id = $2"
_EVENT: Final = """INSERT INTO treasury.outbox (tenant_id, event_id, workflow_id, ordinal, event)
VALUES ($1, $2, $3, $4, $5)"""


@dataclass
class Singles:
    """One transaction a command, on a pool of sessions."""

    pool: asyncpg.Pool

    async def spend(self, spend: Spend) -> None:
        """Hold, then capture: two transactions, since a tool is called between them."""
        hold_id = await self._hold(spend)
        await self._capture(spend, hold_id)

    async def _hold(self, spend: Spend) -> str:
        tenant, cents = spend.tenant, spend.amount_cents
        authorization_id, hold_id = new_id(), new_id()
        key = new_id()
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(_CLAIM, tenant, key, "r")
            at: datetime = await connection.fetchval(_LOCK_WORKFLOW, tenant, spend.workflow_id)
            await connection.execute(
                _WARRANT, tenant, spend.warrant_id, spend.intent_id, spend.decision_id, at
            )
            await connection.execute(_INTENT, tenant, spend.intent_id, spend.workflow_id, cents)
            await self._tell(connection, spend, 1, "treasury.intent_created")
            start = at.replace(hour=0, minute=0, second=0, microsecond=0)
            row = await connection.fetchrow(_BUDGET, tenant, spend.budget, start)
            if LIMIT_CENTS - row["held_cents"] - row["captured_cents"] < cents:
                raise ValueError("the budget of the bench has no room")
            await connection.execute(
                _AUTHORIZATION,
                tenant,
                authorization_id,
                spend.intent_id,
                spend.workflow_id,
                spend.warrant_id,
                cents,
                spend.decision_id,
            )
            await connection.execute(_HOLD, tenant, hold_id, authorization_id, spend.workflow_id, cents, at)
            await connection.execute(_CHARGE, tenant, hold_id, spend.budget, start)
            await connection.execute(_CHANGE_BUDGET, tenant, spend.budget, start, LIMIT_CENTS, cents, 0)
            await self._tell(connection, spend, 2, "treasury.authorized")
            await connection.execute(_ANSWER, tenant, key, _document(spend, hold_id))
        return hold_id

    async def _capture(self, spend: Spend, hold_id: str) -> None:
        tenant, cents, key = spend.tenant, spend.amount_cents, new_id()
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(_CLAIM, tenant, key, "r")
            await connection.fetchval(_LOCK_WORKFLOW, tenant, spend.workflow_id)
            held = await connection.fetchrow(_READ_HOLD, tenant, hold_id)
            if held["status"] != "placed" or held["amount_cents"] < cents:
                raise ValueError("the hold of the bench is not open")
            start, authorization_id = held["window_start"], held["authorization_id"]
            await connection.fetchrow(_BUDGET, tenant, spend.budget, start)
            await connection.execute(
                _POST,
                tenant,
                new_id(),
                spend.workflow_id,
                authorization_id,
                cents,
                new_id(),
                new_id(),
                new_id(),
                hold_id,
            )
            await connection.execute(_CHANGE_BUDGET, tenant, spend.budget, start, LIMIT_CENTS, -cents, cents)
            await connection.execute(_MOVE_AUTHORIZATION, tenant, authorization_id)
            await connection.execute(_MOVE_INTENT, tenant, held["intent_id"])
            await self._tell(connection, spend, 1, "treasury.executed")
            await connection.execute(_ANSWER, tenant, key, _document(spend, hold_id))

    async def _tell(
        self, connection: asyncpg.pool.PoolConnectionProxy, spend: Spend, ordinal: int, event_type: str
    ) -> None:
        event_id = new_id()
        document = _document(spend, event_id, event_type=event_type)
        await connection.execute(_EVENT, spend.tenant, event_id, spend.workflow_id, ordinal, document)


def _document(spend: Spend, about: str, **more: str) -> str:
    """As much JSON as the treasury keeps with an answer or an event."""
    told = {
        "id": about,
        "workflow_id": spend.workflow_id,
        "intent_id": spend.intent_id,
        "decision_id": spend.decision_id,
        "principal": "scout",
        "role": "executor",
    }
    return orjson.dumps(told | more).decode()
