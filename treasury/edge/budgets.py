"""The rows of budgets: locked in one order by whoever touches them, read after locking, written at once."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import asyncpg

from treasury.core.budget import BudgetId, BudgetState
from treasury.edge.commit import Commit
from treasury.edge.queries import SQL


async def lock(commit: Commit, budgets: Iterable[BudgetId]) -> dict[BudgetId, BudgetState]:
    """The states of these budgets, locked until the commit; windows that are new are made."""
    wanted = sorted(set(budgets))
    if not wanted:
        return {}
    await commit.connection.execute(SQL.ensure_budgets, commit.tenant, *_columns(wanted))
    rows = await commit.connection.fetch(SQL.lock_budgets, commit.tenant, *_columns(wanted))
    return {
        identify(row): BudgetState(row["limit_cents"], row["held_cents"], row["captured_cents"])
        for row in rows
    }


async def write(commit: Commit, states: Mapping[BudgetId, BudgetState]) -> None:
    """Write the new states of budgets that this commit has locked."""
    await commit.connection.execute(
        SQL.write_budgets,
        commit.tenant,
        *_columns(list(states)),
        [state.limit_cents for state in states.values()],
        [state.held_cents for state in states.values()],
        [state.captured_cents for state in states.values()],
    )


async def lock_charged(commit: Commit, hold_id: UUID) -> dict[BudgetId, BudgetState]:
    """The budgets that a hold was charged to, locked."""
    rows = await commit.connection.fetch(SQL.charges_of_hold, commit.tenant, hold_id)
    return await lock(commit, [identify(row) for row in rows])


async def charge(commit: Commit, hold_id: UUID, budgets: Iterable[BudgetId]) -> None:
    """Keep which budgets a hold was charged to."""
    await commit.connection.execute(SQL.insert_charges, commit.tenant, *_columns(list(budgets)), hold_id)


def identify(row: asyncpg.Record) -> BudgetId:
    """The budget that a row is about."""
    return BudgetId(row["budget_key"], row["budget_window"], row["window_start"], row["currency"])


def _columns(budgets: list[BudgetId]) -> tuple[list[Any], ...]:
    return (
        [budget.key for budget in budgets],
        [budget.window for budget in budgets],
        [budget.window_start for budget in budgets],
        [budget.currency for budget in budgets],
    )
