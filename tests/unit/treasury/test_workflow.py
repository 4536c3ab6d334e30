"""A workflow that is halted spends nothing; one with a budget binds every warrant to it."""

from uuid import UUID

import pytest

from schemas.warrant import Warrant
from treasury.core.money import Money
from treasury.core.workflow import Workflow
from treasury.errors import Refused

pytestmark = pytest.mark.requirement("WFL-01")

ID = UUID(int=7)
WARRANT = Warrant.model_validate(
    {
        "iss": "gateway",
        "jti": "1",
        "iat": 0,
        "exp": 60,
        "tenant": "acme",
        "principal": "scout",
        "role": "executor",
        "act": "authorize",
        "intent_id": "2",
        "intent_sha256": "3",
        "verdict": "approved",
        "currency": "USD",
        "budgets": [{"key": "role:executor", "window": "day", "limit_cents": 10}],
        "decision_id": "4",
        "policy": {"version": "1", "revision": "r"},
    }
)


def test_an_active_workflow_spends() -> None:
    Workflow(ID).refuse_unless_active()


@pytest.mark.parametrize("status", ["suspended", "finished"])
def test_a_halted_workflow_spends_nothing(status: str) -> None:
    with pytest.raises(Refused, match=status) as refused:
        Workflow(ID, status).refuse_unless_active()
    assert (refused.value.code, refused.value.status) == ("workflow_suspended", 403)


def test_its_budget_is_one_more_of_the_warrants() -> None:
    workflow = Workflow.of(ID, "active", 500, "USD")
    assert workflow.budget == Money(500, "USD")
    first, own = workflow.bound(WARRANT, "USD").budgets
    assert (first,) == WARRANT.budgets
    assert (own.key, own.window, own.limit_cents) == (f"workflow:{ID}", "lifetime", 500)


def test_without_a_budget_the_warrant_is_what_it_was() -> None:
    assert Workflow.of(ID, "active", None, None).bound(WARRANT, "EUR") is WARRANT


def test_a_budget_is_for_its_own_currency_alone() -> None:
    with pytest.raises(Refused, match="in USD") as refused:
        Workflow(ID, budget=Money(500, "USD")).bound(WARRANT, "EUR")
    assert refused.value.code == "currency_not_allowed"
