"""A batch: commands decided in the order in which they came, each seeing what those before it took.

`rule` says what the rules make of each command by itself. Commands of one batch share nothing but
budgets, so that is all that is threaded through here: the outcome is that of the same commands one at a
time. A batch of one is how a single command is decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from treasury.core.authorization import Outcome, Request, Terms, charge_of, decide
from treasury.core.budget import BudgetId, BudgetState, release
from treasury.core.budget import capture as take
from treasury.core.command import Command
from treasury.core.known import Known
from treasury.core.ruling import Captured, Declared, Released, Ruling, Unchanged, Unsettled, Wanted, rule
from treasury.errors import Refused

TenantBudget = tuple[str, BudgetId]


@dataclass(frozen=True, slots=True)
class Authorized:
    """What became of a request once its budgets were asked."""

    request: Request
    outcome: Outcome
    declares: bool


Decided = Declared | Authorized | Captured | Released | Unsettled | Unchanged | Refused
"""What is written for a command. A `NotAuthorized` among the refusals writes nothing."""


@dataclass(frozen=True, slots=True)
class Docket:
    """The commands of a batch with what the rules make of each; `budgets` are those to lock."""

    commands: Sequence[Command]
    rulings: Sequence[Ruling | Refused]
    touched: Sequence[Sequence[BudgetId]]
    at: datetime

    def budgets(self) -> set[TenantBudget]:
        """Every budget that some command of the batch is charged to."""
        return {
            (command.tenant, budget)
            for command, budgets in zip(self.commands, self.touched, strict=True)
            for budget in budgets
        }


def hear(commands: Sequence[Command], known: Sequence[Known], at: datetime) -> Docket:
    """What the rules make of each command by itself."""
    rulings = [_ruled(command, of_it, at) for command, of_it in zip(commands, known, strict=True)]
    return Docket(commands, rulings, [_touched(ruling, at) for ruling in rulings], at)


def decide_all(
    docket: Docket, states: Mapping[TenantBudget, BudgetState], terms: Terms
) -> tuple[list[Decided], dict[TenantBudget, BudgetState]]:
    """What becomes of each command, in order, and the budgets that changed."""
    now, changed = dict(states), dict[TenantBudget, BudgetState]()
    decisions: list[Decided] = []
    for command, ruling, touched in zip(docket.commands, docket.rulings, docket.touched, strict=True):
        mine = {budget: now[command.tenant, budget] for budget in touched}
        decided, after = _decide(ruling, mine, terms, docket.at)
        for budget, state in after.items():
            now[command.tenant, budget] = changed[command.tenant, budget] = state
        decisions.append(decided)
    return decisions, changed


def _ruled(command: Command, known: Known, at: datetime) -> Ruling | Refused:
    try:
        return rule(command, known, at)
    except Refused as refused:
        return refused


def _touched(ruling: Ruling | Refused, at: datetime) -> tuple[BudgetId, ...]:
    match ruling:
        case Wanted(request):
            return tuple(charge_of(request, at).limits)
        case Captured(held) | Released(held):
            return held.charged
        case _:
            return ()


def _decide(
    ruling: Ruling | Refused, states: Mapping[BudgetId, BudgetState], terms: Terms, at: datetime
) -> tuple[Decided, Mapping[BudgetId, BudgetState]]:
    match ruling:
        case Wanted(request, declares):
            (outcome,), after = decide([request], states, terms, at)
            return Authorized(request, outcome, declares), after
        case Captured(_, capture):
            after = {
                budget: release(take(state, capture.amount_cents), capture.released_cents)
                for budget, state in states.items()
            }
            depleted = {budget.key for budget, state in after.items() if state.is_depleted()}
            return replace(ruling, depleted=tuple(sorted(depleted))), after
        case Released(held):
            left_cents = held.spend.left_cents()
            return ruling, {budget: release(state, left_cents) for budget, state in states.items()}
        case _:
            return ruling, {}
