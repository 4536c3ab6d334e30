"""Reading for a batch: the workflows locked, then all that the ledger knows about each command, then the
budgets locked.

Rows are locked in one order by whoever locks them: workflows, then budgets, each sorted by their keys. A row
that somebody else made in the meantime is neither made nor seen by the statement that looked for it: then
the whole transaction begins anew.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from adapters.postgres import Connection
from treasury.core.batch import TenantBudget
from treasury.core.budget import BudgetId, BudgetState
from treasury.core.command import Command
from treasury.core.execution import HeldSpend
from treasury.core.intent import Intent
from treasury.core.known import Held, KeptAnswer, Known
from treasury.core.money import Money
from treasury.core.workflow import Workflow
from treasury.edge.queries import LEDGER


class RowsMoved(Exception):
    """What was looked for was made by somebody else meanwhile: begin anew."""


Workflows = Mapping[tuple[str, UUID], Workflow]


async def lock_workflows(connection: Connection, commands: Sequence[Command]) -> Workflows:
    """Lock the workflow of every command until the commit, and begin those that are new."""
    spent = {(each.tenant, each.declared.workflow_id) for each in commands if each.declared}
    intents = [(c.tenant, c.intent_id) for c in commands if c.declared is None and c.intent_id]
    holds = [(c.tenant, c.hold_id) for c in commands if c.hold_id]
    rows = await connection.fetch(LEDGER.lock_workflows, *_two(spent), *_two(intents), *_two(holds))
    found = {(row["tenant_id"], row["id"]): _workflow(row) for row in rows}
    if not spent <= found.keys():
        raise RowsMoved
    return found


async def know(
    connection: Connection, commands: Sequence[Command], workflows: Workflows
) -> tuple[list[Known], datetime]:
    """What the ledger knows about each command, and the database's time after its locks were taken."""
    rows = await connection.fetch(
        LEDGER.known,
        [command.tenant for command in commands],
        [command.asked.key if command.asked else None for command in commands],
        [command.warrant.jti if command.warrant else None for command in commands],
        [command.intent_id for command in commands],
        [command.hold_id for command in commands],
    )
    known = [_known(command, row, workflows) for command, row in zip(commands, rows, strict=True)]
    return known, rows[0]["at"]


async def lock_budgets(
    connection: Connection, budgets: Collection[TenantBudget]
) -> dict[TenantBudget, BudgetState]:
    """The states of these budgets, locked until the commit; windows that are new are made."""
    if not budgets:
        return {}
    columns = [
        [tenant for tenant, _ in budgets],
        [budget.key for _, budget in budgets],
        [budget.window for _, budget in budgets],
        [budget.window_start for _, budget in budgets],
        [budget.currency for _, budget in budgets],
    ]
    rows = await connection.fetch(LEDGER.lock_budgets_of_all, *columns)
    if len(rows) != len(budgets):
        raise RowsMoved
    return {(row["tenant_id"], _budget(row)): _state(row) for row in rows}


async def load_intent(connection: Connection, tenant: str, intent_id: UUID) -> Intent | None:
    """One intent of a tenant, not locked."""
    row = await connection.fetchrow(LEDGER.intent, tenant, intent_id)
    return _intent(tenant, row) if row is not None else None


def _known(command: Command, row: asyncpg.Record, workflows: Workflows) -> Known:
    kept = None
    if row["kept_status"] is not None:
        kept = KeptAnswer(row["request_sha256"], row["kept_status"], orjson.loads(row["kept_answer"]))
    if row["intent_id"] is None:
        declared = command.declared
        workflow = workflows[command.tenant, declared.workflow_id] if declared else None
        return Known(kept, row["warrant_used"], workflow)
    workflow = workflows.get((command.tenant, row["workflow_id"]))
    if workflow is None:
        raise RowsMoved
    intent = _intent(command.tenant, row)
    held = _held(row, intent) if row["hold_id"] is not None else None
    return Known(kept, row["warrant_used"], workflow, intent, row["authorization_status"], held)


def _intent(tenant: str, row: asyncpg.Record) -> Intent:
    return Intent(
        tenant=tenant,
        id=row["intent_id"],
        workflow_id=row["workflow_id"],
        money=Money(row["amount_cents"], row["currency"]),
        purpose=row["purpose"],
        payee=row["payee"],
        principal=row["principal"],
        policy_version=row["policy_version"],
        status=row["status"],
        created_at=row["created_at"],
    )


def _held(row: asyncpg.Record, intent: Intent) -> Held:
    spend = HeldSpend(
        row["authorization_status"],
        row["hold_status"],
        row["unsettled"],
        row["held_cents"],
        row["captured_cents"],
        row["expires_at"],
    )
    currency = intent.money.currency
    charges = zip(row["keys"] or (), row["windows"] or (), row["starts"] or (), strict=True)
    return Held(
        row["hold_id"],
        row["authorization_id"],
        row["decision_id"],
        row["gateway"],
        spend,
        intent,
        tuple(BudgetId(key, window, start, currency) for key, window, start in charges),
    )


def _workflow(row: asyncpg.Record) -> Workflow:
    return Workflow.of(row["id"], row["status"], row["budget_cents"], row["budget_currency"])


def _budget(row: asyncpg.Record) -> BudgetId:
    return BudgetId(row["budget_key"], row["budget_window"], row["window_start"], row["currency"])


def _state(row: asyncpg.Record) -> BudgetState:
    return BudgetState(row["limit_cents"], row["held_cents"], row["captured_cents"], row["topped_up_cents"])


def _two(pairs: Collection[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    return [tenant for tenant, _ in pairs], [name for _, name in pairs]
