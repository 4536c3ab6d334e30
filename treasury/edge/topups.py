"""Crediting a top-up in one commit: the entry, the budget's room, the event. A payment credits once."""

from importlib.resources import files
from typing import Any, Final
from uuid import UUID

import asyncpg

from adapters.postgres import Connection, Database, one
from adapters.queries import named
from treasury.core.budget import BudgetId, window_start
from treasury.core.top_up import WINDOW, TopUp
from treasury.edge.commit import fresh_id
from treasury.edge.queries import SQL as LEDGER
from treasury.edge.telling import Told, tell
from treasury.errors import Refused

SQL: Final = named((files("treasury") / "sql" / "top_ups.sql").read_text("utf-8"))


async def credit(
    database: Database, top_up: TopUp, low_percent: int, correlation_id: str
) -> tuple[UUID, bool]:
    """The id of the top-up, and whether it was credited now (False: it had been before).

    Raises `Refused` (duplicate) where the payment was credited with other terms, and `DatabaseUnavailable`.
    """

    async def work(connection: Connection) -> tuple[UUID, bool]:
        await connection.execute(SQL.one_at_a_time, top_up.provider, top_up.reference)
        known = await connection.fetchrow(
            SQL.credited_before, top_up.provider, top_up.event_id, top_up.reference
        )
        if known is not None:
            _refuse_other_terms(top_up, known)
            return known["id"], False
        return await _credit(connection, top_up, low_percent, correlation_id), True

    return await database.transact(work)


def _refuse_other_terms(top_up: TopUp, known: asyncpg.Record) -> None:
    terms = (known["tenant_id"], known["budget_key"], known["amount_cents"], known["currency"])
    money = top_up.money
    if terms != (top_up.tenant, top_up.budget_key, money.amount_cents, money.currency):
        raise Refused("duplicate", "this payment was credited before, with other terms")


async def _credit(connection: Connection, top_up: TopUp, low_percent: int, correlation_id: str) -> UUID:
    at = await connection.fetchval("SELECT clock_timestamp()")
    money, entry = top_up.money, top_up.entry()
    budget = BudgetId(top_up.budget_key, WINDOW, window_start(WINDOW, at), money.currency)
    top_up_id, entry_id = fresh_id(), fresh_id()
    await connection.execute(LEDGER.insert_workflow, top_up.tenant, top_up.workflow_id)
    raised = await one(
        connection,
        SQL.top_up_budget,
        top_up.tenant,
        budget.key,
        budget.window,
        budget.window_start,
        budget.currency,
        money.amount_cents,
        low_percent,
    )
    await connection.execute(
        SQL.credit,
        top_up.tenant,
        fresh_id(),
        top_up.workflow_id,
        money.amount_cents,
        money.currency,
        top_up.provider,
        f"provider:{top_up.provider}",
        fresh_id(),
        top_up.event_id,
        at,
        fresh_id(),
        entry_id,
        fresh_id(),
        entry.debited,
        fresh_id(),
        entry.credited,
        top_up_id,
        top_up.reference,
        budget.key,
        budget.window,
        budget.window_start,
    )
    told = Told(top_up.tenant, top_up.workflow_id, correlation_id, at)
    await tell(connection, told, "treasury.topped_up", _event(top_up, budget, top_up_id, entry_id, raised))
    return top_up_id


def _event(
    top_up: TopUp, budget: BudgetId, top_up_id: UUID, entry_id: UUID, raised: asyncpg.Record
) -> dict[str, Any]:
    """What is told; `raised` has the budget's balance after it."""
    return {
        "top_up_id": str(top_up_id),
        "provider": top_up.provider,
        "provider_event_id": top_up.event_id,
        "reference": top_up.reference,
        "budget_key": budget.key,
        "budget_window": budget.window,
        "amount_cents": top_up.money.amount_cents,
        "currency": top_up.money.currency,
        "balance_cents": int(raised["balance_cents"]),
        "journal_entry_id": str(entry_id),
    }
