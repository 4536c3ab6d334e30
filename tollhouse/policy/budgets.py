"""Budgets as the policy document writes them: limits of money, each for somebody and for a window of time.

    budgets: {tenant: {month_cents: 5000000}, workflow: {lifetime_cents: 20000}}      of the whole policy
    roles: {executor: {budgets: {role: {day_cents: 100000}, agent: {hour_cents: 5000}}}}       of one role

A workflow may be of agents with several roles and a tenant is of all of them, so these two are not a role's.
What is spent counts against every limit that concerns it, all at once. One limit contains another where
whatever counts against the other counts against it too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from schemas.currency import AMOUNT_CENTS_MAX
from tollhouse.policy.written import Written
from tollhouse.problems import Path

WINDOWS: Final = ("hour", "day", "month", "lifetime")
AROUND: Final = {
    "agent": frozenset({"agent", "role", "tenant"}),
    "role": frozenset({"role", "tenant"}),
    "workflow": frozenset({"workflow", "tenant"}),
    "tenant": frozenset({"tenant"}),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `path` is where it stands, below the role or the document."""

    scope: str
    window: str
    limit_cents: int
    path: Path

    @property
    def is_prepaid(self) -> bool:
        """Its room is what it is topped up with, which no document knows."""
        return self.window == "lifetime" and self.limit_cents == 0

    def contains(self, other: "Limit") -> bool:
        """Whether whatever counts against the other one counts against this one too."""
        if (self.scope, self.window) == (other.scope, other.window):
            return False
        longer = WINDOWS.index(self.window) >= WINDOWS.index(other.window)
        return longer and self.scope in AROUND[other.scope]

    def data(self) -> dict[str, Any]:
        """As it stands in the data of OPA."""
        return {"scope": self.scope, "window": self.window, "limit_cents": self.limit_cents}


Cents = Annotated[int, Field(ge=0, le=AMOUNT_CENTS_MAX)]


class _Part(Written):
    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"says no limit; allowed here: {', '.join(sorted(type(self).model_fields))}")
        return self


class Limits(_Part):
    """What may be held and spent in one window of time, all of them in UTC; 0 lets nothing be spent."""

    hour_cents: Cents | None = None
    day_cents: Cents | None = None
    month_cents: Cents | None = None
    lifetime_cents: Cents | None = None


class RoleBudgets(_Part):
    """Of all agents of the role together, and of each of them."""

    agent: Limits | None = None
    role: Limits | None = None


class SharedBudgets(_Part):
    """Of each workflow, and of the tenant, whatever the roles of those who spend."""

    workflow: Limits | None = None
    tenant: Limits | None = None


def limits_of(budgets: RoleBudgets | SharedBudgets | None) -> Iterator[Limit]:
    """Its limits, the narrowest first: that is the one that a refusal names."""
    for scope in type(budgets).model_fields if budgets else ():
        for window in WINDOWS:
            cents = getattr(getattr(budgets, scope), f"{window}_cents", None)
            if cents is not None:
                yield Limit(scope, window, cents, ("budgets", scope, f"{window}_cents"))
