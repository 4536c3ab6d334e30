"""What a decision obliges the gateway to hold, with values."""

from typing import Any
from uuid import UUID

import pytest

from gateway.core.decide import Spend, Verdict
from gateway.core.hold import (
    Intent,
    agrees,
    charged_on_error,
    executing,
    placing,
    refuse_paid_call,
    stance,
    standing_workflow,
    voiding,
)
from gateway.core.identify import Principal
from gateway.errors import Denied
from schemas.decision import BUDGETS_MAX
from schemas.ids import new_id
from schemas.warrant import Warrant, intent_sha256

SCOUT = Principal(id="scout", role="executor", tenant="acme", method="api_key")
PRICE = {"kind": "fixed", "fixed_cents": 5, "charged_on_error": False}
BUDGET = {"key": "role:executor", "window": "day", "limit_cents": 100_000}
MANY = [{**BUDGET, "key": f"role:{number}"} for number in range(BUDGETS_MAX + 1)]
HOLD = {"ceiling_cents": 5, "budgets": [BUDGET], "price": PRICE, "charged_on_error": False}
NEEDS_YES = {"code": "approval_required", "message": "above 50000"}
SPEND = Spend(5, "USD", "tool_call", "bank", PRICE)
INTENT = Intent(new_id(), new_id(), SPEND)
TIMES = {"iss": "gateway-1", "jti": new_id(), "iat": 1, "exp": 61}


def verdict(allow: bool = True, *reasons: dict[str, Any], **obligations: Any) -> Verdict:
    return Verdict(allow, reasons, obligations, "1.0", "ab" * 32)


PENDING = verdict(False, NEEDS_YES, approval={"role": "executive"}, hold=HOLD)
REFUSED = verdict(False, {"code": "spend_not_allowed", "message": "no", "rule": "daily"})


@pytest.mark.requirement("TRE-02")
def test_only_a_refusal_that_lacks_nothing_but_a_yes_is_pending() -> None:
    locked = {"code": "budget_exceeded", "message": "no"}
    assert stance(verdict()) == "approved"
    assert stance(PENDING) == "pending"
    assert stance(REFUSED) == "denied"
    assert stance(verdict(False, NEEDS_YES, locked, approval={"role": "executive"})) == "denied"
    assert stance(verdict(False, NEEDS_YES, approval={})) == "denied"


@pytest.mark.requirement("GW-10")
def test_the_price_that_policy_judged_must_be_ours() -> None:
    other = {**PRICE, "fixed_cents": 6}
    assert agrees(SPEND, verdict(hold=HOLD))
    assert agrees(None, verdict())
    assert agrees(SPEND, REFUSED)
    assert not agrees(SPEND, verdict(False, {"code": "call_unpriceable", "message": "stale"}))
    assert not agrees(SPEND, verdict())
    assert not agrees(None, verdict(hold=HOLD))
    assert not agrees(SPEND, verdict(hold={**HOLD, "price": other}))
    assert not agrees(SPEND, verdict(False, NEEDS_YES, approval={"role": "executive"}, hold={}))


@pytest.mark.requirement("GW-10")
def test_errors_are_charged_only_where_policy_says_so_literally() -> None:
    assert charged_on_error(verdict(hold={**HOLD, "charged_on_error": True}))
    assert not charged_on_error(verdict(hold={**HOLD, "charged_on_error": 1}))
    assert not charged_on_error(verdict())


@pytest.mark.requirement("TRE-03")
@pytest.mark.parametrize(
    ("judged", "expected"),
    [(verdict(hold=HOLD), ("approved", 5, 1, None)), (PENDING, ("pending", 5, 1, "executive"))],
)
def test_a_hold_carries_policys_ceiling_and_budgets(judged: Verdict, expected: tuple[Any, ...]) -> None:
    claims = placing(INTENT, SCOUT, judged, "decision-1", "unknown")
    warrant = Warrant.model_validate(claims | TIMES)
    found = (warrant.verdict, warrant.ceiling_cents, len(warrant.budgets), warrant.approval_role)
    assert found == expected
    assert warrant.reasons[0].code == ("approval_required" if judged is PENDING else "within_daily_budget")
    assert (warrant.act, warrant.unsettled, warrant.decision_id) == ("authorize", "unknown", "decision-1")
    assert warrant.intent_sha256 == intent_sha256(
        "acme", INTENT.id, INTENT.workflow_id, 5, "USD", "tool_call", "bank"
    )


@pytest.mark.requirement("TRE-11")
def test_a_warrant_carries_every_budget_in_policys_order() -> None:
    hold = {"ceiling_cents": 5, "budgets": MANY[:BUDGETS_MAX]}
    warrant = Warrant.model_validate(placing(INTENT, SCOUT, verdict(hold=hold), "d", "release") | TIMES)
    assert [budget.model_dump() for budget in warrant.budgets] == hold["budgets"]


@pytest.mark.requirement("TRE-05")
def test_a_spend_without_a_daily_budget_is_just_allowed() -> None:
    judged = verdict(hold={"ceiling_cents": 5, "budgets": [{**BUDGET, "window": "month"}]})
    warrant = Warrant.model_validate(placing(INTENT, SCOUT, judged, "d", "release") | TIMES)
    assert [reason.code for reason in warrant.reasons] == ["allowed"]


@pytest.mark.requirement("TRE-05")
def test_a_refusal_is_kept_with_its_reasons_and_holds_nothing() -> None:
    warrant = Warrant.model_validate(placing(INTENT, SCOUT, REFUSED, "d", "release") | TIMES)
    assert (warrant.verdict, warrant.ceiling_cents, warrant.budgets) == ("denied", 0, ())
    assert [reason.rule for reason in warrant.reasons] == ["daily"]


@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize(
    "hold",
    [
        {},
        {"ceiling_cents": 4},
        {"ceiling_cents": "5x"},
        {"ceiling_cents": 5, "budgets": [{"key": "role:executor"}]},
        {"ceiling_cents": 5, "budgets": [{**BUDGET, "key": ""}]},
        {"ceiling_cents": 5, "budgets": [{**BUDGET, "key": "k" * 201}]},
        {"ceiling_cents": 5, "budgets": [{**BUDGET, "window": "week"}]},
        {"ceiling_cents": 5, "budgets": [{**BUDGET, "limit_cents": -1}]},
        {"ceiling_cents": 5, "budgets": [{**BUDGET, "limit_cents": 2**53}]},
        {"ceiling_cents": 5, "budgets": MANY},
        {"ceiling_cents": 5, "escrow": True},
    ],
)
def test_an_obligation_that_cannot_be_met_refuses(hold: dict[str, Any]) -> None:
    with pytest.raises(Denied) as refused:
        placing(INTENT, SCOUT, verdict(hold=hold), "d", "release")
    assert refused.value.code == "obligation_unmet"


@pytest.mark.requirement("TRE-03")
def test_ending_a_spend_takes_a_warrant_for_that_act_alone() -> None:
    executes = Warrant.model_validate(executing(INTENT, SCOUT, verdict(), "d", 3, "vendor:1") | TIMES)
    assert (executes.act, executes.verdict, executes.ceiling_cents) == ("execute", "approved", 3)
    assert executes.recipient_account == "vendor:1"
    voids = Warrant.model_validate(voiding(INTENT, SCOUT, verdict(), "d") | TIMES)
    assert (voids.act, voids.verdict, voids.ceiling_cents) == ("void", "approved", 0)
    assert voids.recipient_account is None


def test_the_intent_is_written_as_the_treasury_takes_it() -> None:
    document = Intent("i", "w", SPEND, "1.0").document()
    assert document == {
        "id": "i",
        "workflow_id": "w",
        "amount_cents": 5,
        "currency": "USD",
        "purpose": "tool_call",
        "payee": "bank",
        "policy_version": "1.0",
    }


def test_an_agent_has_one_standing_workflow_in_its_tenant() -> None:
    mine = standing_workflow(SCOUT)
    assert UUID(mine).version == 5
    assert mine == standing_workflow(Principal("scout", "executive", "acme", "jwt"))
    assert mine != standing_workflow(Principal("scout", "executor", "other", "api_key"))


@pytest.mark.requirement("GW-10")
def test_an_agent_ends_no_hold_of_a_paid_call_that_was_sent() -> None:
    for status, unsettled in (("approved", "release"), ("pending", "unknown"), ("voided", "unknown")):
        refuse_paid_call({"status": status, "unsettled": unsettled})
    refuse_paid_call(None)
    with pytest.raises(Denied) as refused:
        refuse_paid_call({"status": "approved", "unsettled": "unknown"})
    assert refused.value.code == "no_authorization_record"
