"""Budgets: how much may be held and captured in a window of time.

A budget is known by its key, window, start and currency. Its limit comes with each warrant, its state
stands in the treasury. `place` decides a list of charges in the order in which they came, each seeing
what those before it took: the outcome is that of a serial execution, whoever runs it and however many
at once. A hold is charged to the windows in which it was placed, and stays there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from schemas.decision import Budget as BudgetLimit

_LIFETIME_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class BudgetId:
    """One window of one budget; the order is that in which rows are locked."""

    key: str
    window: str
    window_start: datetime
    currency: str


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What is held and captured of a limit and of what was topped up, in minor units."""

    limit_cents: int
    held_cents: int = 0
    captured_cents: int = 0
    topped_up_cents: int = 0

    def is_depleted(self) -> bool:
        """Whether as much was captured as there is, so that what is held of it is to be used no further."""
        return self.captured_cents >= self.limit_cents + self.topped_up_cents

    def room_cents(self) -> int:
        """What may still be held; negative where the limit was lowered."""
        return self.limit_cents + self.topped_up_cents - self.held_cents - self.captured_cents


@dataclass(frozen=True, slots=True)
class Charge:
    """An amount to hold in each of some budgets, all or none; `limits` are the warrant's."""

    amount_cents: int
    limits: Mapping[BudgetId, int]


def window_start(window: str, at: datetime) -> datetime:
    """When the window that `at` falls in began, in UTC."""
    if window == "lifetime":
        return _LIFETIME_START
    whole = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if window == "hour":
        return whole
    day = whole.replace(hour=0)
    return day if window == "day" else day.replace(day=1)


def charge(amount_cents: int, currency: str, limits: Iterable[BudgetLimit], at: datetime) -> Charge:
    """The charge that a warrant's budgets ask for; of a budget named twice the lower limit counts."""
    wanted: dict[BudgetId, int] = {}
    for limit in limits:
        budget = BudgetId(limit.key, limit.window, window_start(limit.window, at), currency)
        wanted[budget] = min(limit.limit_cents, wanted.get(budget, limit.limit_cents))
    return Charge(amount_cents, wanted)


def place(
    states: Mapping[BudgetId, BudgetState], charges: Sequence[Charge]
) -> tuple[list[BudgetId | None], dict[BudgetId, BudgetState]]:
    """For each charge the budget that had no room for it (None: it was held), and the new states."""
    states = dict(states)
    outcomes: list[BudgetId | None] = []
    for wanted in charges:
        limited = {
            budget: replace(states.get(budget, BudgetState(limit)), limit_cents=limit)
            for budget, limit in wanted.limits.items()
        }
        full = [budget for budget, state in limited.items() if state.room_cents() < wanted.amount_cents]
        outcomes.append(full[0] if full else None)
        for budget, state in limited.items():
            held_cents = state.held_cents + (0 if full else wanted.amount_cents)
            states[budget] = replace(state, held_cents=held_cents)
    return outcomes, states


def capture(state: BudgetState, amount_cents: int) -> BudgetState:
    """What was held is spent."""
    return replace(
        state,
        held_cents=state.held_cents - amount_cents,
        captured_cents=state.captured_cents + amount_cents,
    )


def release(state: BudgetState, amount_cents: int) -> BudgetState:
    """What was held is free again."""
    return replace(state, held_cents=state.held_cents - amount_cents)
