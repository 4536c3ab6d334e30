"""What the treasury's answers mean to the path of a call, with values."""

from typing import Any

import pytest

from gateway.edge.holds import held
from gateway.edge.spend_requests import checked
from gateway.errors import BadRequest, Refusal
from schemas.ids import new_id
from schemas.spend import AuthorizeSpendRequest, ExecuteRequest

OVER = {"code": "budget_exceeded", "message": "the budget role:executor is used up"}
APPROVED = {"approved": True, "status": "approved", "hold_id": "h1", "authorization_id": "a1", "reasons": []}


@pytest.mark.requirement("GW-10")
def test_an_approved_authorization_has_its_hold() -> None:
    assert held(APPROVED) == "h1"


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize(
    ("answer", "code", "approval_id"),
    [
        ({"status": "denied", "reason": "budget_exceeded", "reasons": [OVER]}, "budget_exceeded", None),
        ({"status": "denied", "reason": "whim", "reasons": []}, "spend_not_allowed", None),
        ({"status": "pending", "authorization_id": "a1", "reasons": []}, "approval_required", "a1"),
        ({**APPROVED, "approved": 1, "status": "maybe"}, "treasury_unavailable", None),
        ({**APPROVED, "approved": "true"}, "treasury_unavailable", None),
        ({**APPROVED, "hold_id": None}, "treasury_unavailable", None),
        ({}, "treasury_unavailable", None),
    ],
)
def test_whatever_is_not_plainly_approved_refuses(
    answer: dict[str, Any], code: str, approval_id: str | None
) -> None:
    with pytest.raises(Refusal) as refused:
        held(answer)
    assert (refused.value.code, refused.value.approval_id) == (code, approval_id)


@pytest.mark.requirement("TRE-01")
@pytest.mark.requirement("TRE-14")
@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount_cents", 0),
        ("amount_cents", -1),
        ("amount_cents", True),
        ("amount_cents", "500"),
        ("amount_cents", 2**53),
        ("currency", "XXX"),
        ("currency", "usd"),
        ("workflow_id", "not-a-uuid"),
        ("purpose", ""),
        ("purpose", "   "),
        ("payee", 5),
        ("payee", "vendor-\x00"),
        ("purpose", "api\x00call"),
        ("policy_version", "1\x00"),
        ("coupon", "free"),
    ],
)
def test_each_bad_field_is_named(field: str, value: Any) -> None:
    body = {"amount_cents": 500, "purpose": "api_call", "workflow_id": new_id(), field: value}
    with pytest.raises(BadRequest) as refused:
        checked(AuthorizeSpendRequest, body)
    assert refused.value.code == "invalid"
    assert [fault["loc"] for fault in refused.value.detail] == [["body", field]]
    assert all(fault["message"] for fault in refused.value.detail)


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize("account", ["", "-x", "a b", "a\n", "x" * 201, "é"])
def test_an_account_is_a_plain_word(account: str) -> None:
    with pytest.raises(BadRequest):
        checked(ExecuteRequest, {"intent_id": new_id(), "recipient_account": account})
