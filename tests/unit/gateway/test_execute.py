"""Whether a declared spend can be executed, with values."""

from typing import Any

import pytest

from gateway.core.decide import Spend
from gateway.core.execute import check_executable
from gateway.core.hold import Intent
from gateway.errors import Refusal

INTENT = Intent("intent-1", "workflow-1", Spend(500, "USD", "api_call"))


def authorization(status: str, ceiling_cents: int = 500) -> dict[str, Any]:
    return {"status": status, "authorization_id": "auth-1", "ceiling_cents": ceiling_cents}


@pytest.mark.requirement("TRE-06")
@pytest.mark.parametrize(("asked", "executed"), [(None, 500), (1, 1), (500, 500)])
def test_an_approved_spend_may_be_executed_up_to_its_ceiling(asked: int | None, executed: int) -> None:
    assert check_executable(INTENT, authorization("approved"), asked) == executed


@pytest.mark.requirement("TRE-03")
@pytest.mark.requirement("TRE-04")
@pytest.mark.parametrize(
    ("known", "asked", "code"),
    [
        (None, None, "no_authorization_record"),
        (authorization("pending"), None, "authorization_not_approved"),
        (authorization("denied", 0), None, "no_authorization_record"),
        (authorization("approved"), 501, "spend_exceeds_ceiling"),
    ],
)
def test_anything_else_is_refused_with_its_code(
    known: dict[str, Any] | None, asked: int | None, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        check_executable(INTENT, known, asked)
    assert refused.value.code == code


def test_a_pending_spend_tells_what_it_waits_for() -> None:
    with pytest.raises(Refusal) as refused:
        check_executable(INTENT, authorization("pending"), None)
    assert refused.value.approval_id == "auth-1"


@pytest.mark.requirement("TRE-13")
@pytest.mark.parametrize("status", ["executed", "expired", "voided"])
def test_what_has_ended_is_left_to_the_treasury_that_may_have_answered_before(status: str) -> None:
    assert check_executable(INTENT, authorization(status, 300), None) == 300
    assert check_executable(INTENT, authorization(status, 0), None) == 500
