"""What policy is asked about: refusals and unknown outcomes, never a clean flow."""

from datetime import UTC, datetime

import pytest

from control.observation import RefusedCall, is_suspect, refused_call
from schemas.ids import new_id
from tests.fixtures.events import AT, completed, decided, of_record, spend

pytestmark = pytest.mark.requirement("CMP-01")


def test_a_clean_flow_is_passed_over() -> None:
    record = decided()
    clean = [
        of_record("decided", record),
        of_record("completed", completed(record)),
        of_record("completed", completed(record, outcome="failed", status=500, code="upstream_timeout")),
        of_record("completed", completed(record, outcome="failed", status=404)),
        *spend("acme", new_id()),
    ]
    assert not any(is_suspect(event) for event in clean)


def test_a_refusal_by_policy_names_its_agent_action_and_first_code() -> None:
    reasons = [{"code": code, "message": ""} for code in ("argument_refused", "budget_exceeded")]
    event = of_record("decided", decided(allow=False, reasons=reasons))
    assert is_suspect(event)
    assert refused_call(event, {}) == RefusedCall(
        event["payload"]["decision_id"],
        "scout",
        "bank.get_balance",
        "argument_refused",
        datetime.fromisoformat(AT).astimezone(UTC),
    )
    unreasoned = of_record("decided", decided(allow=False, reasons=[]))
    assert refused_call(unreasoned, {}).code == ""


def test_a_refusal_by_the_ledger_belongs_to_its_decision() -> None:
    record = decided()
    event = of_record("completed", completed(record, outcome="failed", code="no_authorization_record"))
    assert is_suspect(event)
    known = {("acme", record["decision_id"]): ("scout", "treasury.execute")}
    call = refused_call(event, known)
    assert (call.agent, call.action, call.code) == ("scout", "treasury.execute", "no_authorization_record")
    with pytest.raises(LookupError, match="not on record"):
        refused_call(event, {})
