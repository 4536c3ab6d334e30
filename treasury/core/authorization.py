"""The permission to spend: what policy's word and the budgets' room make of an intent.

An approved or pending verdict holds the money; what a ceiling or a budget refuses is a denial that is
kept like policy's own. A pending authorization cannot be executed and expires like any other hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.warrant import Warrant
from treasury.core.budget import BudgetId, BudgetState, Charge, charge, place
from treasury.core.intent import Intent
from treasury.core.lifecycle import lifecycle

AUTHORIZATION: Final = lifecycle(
    "authorization",
    born="pending approved denied",
    pending="approved denied expired voided",
    approved="executed voided expired",
)

HOLD: Final = lifecycle(
    "hold",
    born="placed",
    placed="captured voided expired unknown",
    unknown="captured voided",
)

LIVE: Final = frozenset({"pending", "approved", "executed"})


@dataclass(frozen=True, slots=True)
class Terms:
    """How long money is held, in seconds: for an execution, and for a person's answer."""

    hold_ttl_s: int
    approval_ttl_s: int


@dataclass(frozen=True, slots=True)
class Request:
    """A good warrant with the intent that it was written for."""

    warrant: Warrant
    intent: Intent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an authorization becomes. `charged` and `expires_at` are set where money is held."""

    status: str
    reasons: tuple[dict[str, Any], ...]
    ceiling_cents: int
    charged: tuple[BudgetId, ...] = ()
    expires_at: datetime | None = None


def charge_of(request: Request, at: datetime) -> Charge:
    """What the request would hold, and in which budgets; nothing where policy or its ceiling refuses."""
    if _refusal(request):
        return Charge(0, {})
    money = request.intent.money
    return charge(money.amount_cents, money.currency, request.warrant.budgets, at)


def decide(
    requests: Sequence[Request], states: Mapping[BudgetId, BudgetState], terms: Terms, at: datetime
) -> tuple[list[Outcome], dict[BudgetId, BudgetState]]:
    """The outcome of each request in the order of arrival, and the budgets after all of them."""
    charges = [charge_of(request, at) for request in requests]
    full, after = place(states, charges)
    outcomes = [
        _outcome(request, wanted, lacking, terms, at)
        for request, wanted, lacking in zip(requests, charges, full, strict=True)
    ]
    return outcomes, after


def _refusal(request: Request) -> tuple[dict[str, Any], ...]:
    """Why nothing can be held, before any budget is looked at; empty where nothing stands against it."""
    warrant, money = request.warrant, request.intent.money
    if warrant.verdict == "denied":
        return _told(warrant) or (_reason("spend_not_allowed", "policy does not allow this spend"),)
    if money.amount_cents > warrant.ceiling_cents:
        message = f"{money} is above the ceiling of {warrant.ceiling_cents} minor units"
        return (_reason("spend_exceeds_ceiling", message),)
    return ()


def _outcome(
    request: Request, wanted: Charge, lacking: BudgetId | None, terms: Terms, at: datetime
) -> Outcome:
    warrant, money = request.warrant, request.intent.money
    refusal = _refusal(request)
    if refusal:
        return Outcome("denied", refusal, warrant.ceiling_cents)
    if lacking:
        message = f"the budget {lacking.key} has no room for {money} in this {lacking.window}"
        return Outcome("denied", (_reason("budget_exceeded", message),), money.amount_cents)
    pending = warrant.verdict == "pending"
    code, message = _GRANTED[pending]
    ttl_s = terms.approval_ttl_s if pending else terms.hold_ttl_s
    return Outcome(
        warrant.verdict,
        _told(warrant) or (_reason(code, message),),
        money.amount_cents,
        tuple(wanted.limits),
        at + timedelta(seconds=ttl_s),
    )


_GRANTED: Final = {
    True: ("approval_required", "a person has to approve this spend"),
    False: ("within_daily_budget", "the spend is within its budgets"),
}


def _told(warrant: Warrant) -> tuple[dict[str, Any], ...]:
    return tuple(reason.model_dump(exclude_none=True) for reason in warrant.reasons)


def _reason(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
