"""What becomes of a request for money, to the last word."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.commands import a_warrant, an_intent
from treasury.core.authorization import Outcome, Request, Terms, charge_of, decide
from treasury.core.budget import BudgetId, BudgetState, Charge, window_start

pytestmark = [pytest.mark.requirement("TRE-02"), pytest.mark.requirement("TRE-05")]

AT = datetime(2026, 3, 14, 15, tzinfo=UTC)
TERMS = Terms(hold_ttl_s=900, approval_ttl_s=86_400)
INTENT = an_intent(100)
LIMIT = {"key": "role:executor", "window": "day", "limit_cents": 150}
BUDGET = BudgetId("role:executor", "day", window_start("day", AT), "USD")
OWN = {"code": "within_daily_budget", "message": "said by policy", "rule": "small"}


def request(**changes: Any) -> Request:
    return Request(a_warrant(INTENT, "authorize", [LIMIT], **changes), INTENT)


def reason(code: str, message: str) -> tuple[dict[str, Any], ...]:
    return ({"code": code, "message": message},)


WITHIN = reason("within_daily_budget", "the spend is within its budgets")
WAITS = reason("approval_required", "a person has to approve this spend")
DENIED = reason("spend_not_allowed", "policy does not allow this spend")
ABOVE = reason("spend_exceeds_ceiling", "1.00 USD is above the ceiling of 99 minor units")
UNTIL_EXECUTED, UNTIL_ANSWERED = AT + timedelta(seconds=900), AT + timedelta(seconds=86_400)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome("approved", WITHIN, 100, (BUDGET,), UNTIL_EXECUTED)),
        ({"reasons": [OWN]}, Outcome("approved", (OWN,), 100, (BUDGET,), UNTIL_EXECUTED)),
        (
            {"reasons": [{"code": "c", "message": "m"}]},
            Outcome("approved", reason("c", "m"), 100, (BUDGET,), UNTIL_EXECUTED),
        ),
        ({"verdict": "pending"}, Outcome("pending", WAITS, 100, (BUDGET,), UNTIL_ANSWERED)),
        ({"verdict": "denied"}, Outcome("denied", DENIED, 100)),
        ({"verdict": "denied", "reasons": [OWN], "ceiling_cents": 7}, Outcome("denied", (OWN,), 7)),
        ({"ceiling_cents": 99}, Outcome("denied", ABOVE, 99)),
        ({"ceiling_cents": 101}, Outcome("approved", WITHIN, 100, (BUDGET,), UNTIL_EXECUTED)),
    ],
)
def test_a_request_comes_to_this(changes: dict[str, Any], outcome: Outcome) -> None:
    (decided,), after = decide([request(**changes)], {}, TERMS, AT)
    assert decided == outcome
    held_cents = 100 if outcome.expires_at else 0
    assert after == ({BUDGET: BudgetState(150, held_cents)} if held_cents else {})


def test_what_finds_no_room_is_told_where() -> None:
    outcomes, after = decide([request(), request()], {}, TERMS, AT)
    message = "the budget role:executor has no room for 1.00 USD in this day"
    assert outcomes[0].status == "approved"
    assert outcomes[1] == Outcome("denied", reason("budget_exceeded", message), 100)
    assert after == {BUDGET: BudgetState(150, 100)}


def test_what_policy_refuses_is_charged_nowhere() -> None:
    assert charge_of(request(), AT) == Charge(100, {BUDGET: 150})
    assert charge_of(request(verdict="denied"), AT) == Charge(0, {})
