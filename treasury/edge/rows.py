"""Rows that wait to be written: tuples in the order of their types (sql/migrations/0006).

They go out in three statements: `place` what is new, `settle` what moves of holds with the entries that it
takes, `conclude` everything that follows: events, and answers with their keys. All in the same commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.postgres import Connection
from treasury.core.batch import TenantBudget
from treasury.core.budget import BudgetId, BudgetState
from treasury.edge.queries import LEDGER

Row = tuple[Any, ...]


@dataclass(slots=True)
class Rows:
    """What one database transaction writes; any of it may be empty."""

    warrants: list[Row] = field(default_factory=list)
    intents: list[Row] = field(default_factory=list)
    authorizations: list[Row] = field(default_factory=list)
    holds: list[Row] = field(default_factory=list)
    charges: list[Row] = field(default_factory=list)
    executions: list[Row] = field(default_factory=list)
    changed_holds: list[Row] = field(default_factory=list)
    changed_authorizations: list[Row] = field(default_factory=list)
    changed_intents: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)

    async def move(self, connection: Connection) -> None:
        """Write what is new, and what becomes of holds."""
        if self.warrants or self.intents:
            await connection.execute(
                LEDGER.place, self.warrants, self.intents, self.authorizations, self.holds, self.charges
            )
        if self.changed_holds:
            await connection.execute(LEDGER.settle, self.executions, self.changed_holds)

    async def conclude(self, connection: Connection, budgets: Mapping[TenantBudget, BudgetState]) -> None:
        """Write what follows from it, with the budgets as they are now."""
        if self.events or self.answers or budgets:
            await connection.execute(
                LEDGER.conclude,
                self.changed_authorizations,
                self.changed_intents,
                [_budget_row(tenant, budget, state) for (tenant, budget), state in budgets.items()],
                self.events,
                self.answers,
            )


def _budget_row(tenant: str, budget: BudgetId, state: BudgetState) -> Row:
    return (
        tenant,
        budget.key,
        budget.window,
        budget.window_start,
        budget.currency,
        state.limit_cents,
        state.held_cents,
        state.captured_cents,
    )
