"""A workflow: what belongs together, may be stopped together, and may have a budget for its whole life.

A workflow that nobody created begins with its first spend, active and without a budget of its own. One that
is suspended or finished holds nothing new and executes no spend; what it holds can still be settled or given
up. The budget is one more that every hold is charged to, beside those of the warrant.
"""

from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from schemas.decision import Budget
from schemas.warrant import Warrant
from treasury.core.lifecycle import lifecycle
from treasury.core.money import Money
from treasury.errors import Refused

WORKFLOW: Final = lifecycle(
    "workflow",
    born="active",
    active="suspended finished",
    suspended="active finished",
)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as it stands; `budget` is for its lifetime, None where policy's budgets are all it has."""

    id: UUID
    status: str = "active"
    budget: Money | None = None

    @classmethod
    def of(cls, workflow_id: UUID, status: str, budget_cents: int | None, currency: str | None) -> Self:
        """From the columns of its row; `budget_cents` and `currency` are both there or neither."""
        budget = Money(budget_cents, currency) if budget_cents is not None and currency is not None else None
        return cls(workflow_id, status, budget)

    def refuse_unless_active(self) -> None:
        """Raises `Refused` (workflow_suspended) for one that may spend nothing now."""
        if self.status != "active":
            raise Refused("workflow_suspended", f"the workflow is {self.status}: it spends nothing")

    def bound(self, warrant: Warrant, currency: str) -> Warrant:
        """The warrant with this workflow's budget among its own; raises `Refused` for another currency."""
        if self.budget is None:
            return warrant
        if self.budget.currency != currency:
            raise Refused("currency_not_allowed", f"this workflow's budget is in {self.budget.currency}")
        own = Budget(key=f"workflow:{self.id}", window="lifetime", limit_cents=self.budget.amount_cents)
        return warrant.model_copy(update={"budgets": (*warrant.budgets, own)})
