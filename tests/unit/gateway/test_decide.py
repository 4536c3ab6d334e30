"""Only a decision whose `allow` is the literal true allows."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classify import Call
from gateway.core.decide import Spend, document, read, require, text
from gateway.core.identify import Principal
from gateway.errors import Denied, Unavailable
from schemas.decision import DecisionInput

PRINCIPAL = Principal("scout", "executor", "acme", "api_key")
REASON = {"code": "tool_not_allowed", "message": "no"}
POLICY = {"version": "1", "revision": "r"}


def answer(**more: Any) -> dict[str, Any]:
    return {"allow": True, "reasons": [], "obligations": {}, "policy": POLICY} | more


@pytest.mark.requirement("GW-01")
def test_true_allows() -> None:
    require(read(answer()))


@pytest.mark.requirement("GW-01")
@pytest.mark.parametrize("allow", [1, "true", "yes", None, {}, {"allow": True}, [True], 1.0])
def test_what_is_not_a_boolean_is_no_decision(allow: Any) -> None:
    with pytest.raises(Unavailable):
        read(answer(allow=allow))


@pytest.mark.requirement("GW-01")
@pytest.mark.parametrize(
    "decision",
    [
        None,
        True,
        {},
        [],
        {"allow": True},
        answer(reasons=None),
        answer(reasons=[{"code": 7, "message": ""}]),
        answer(reasons=["no"]),
        answer(obligations=[]),
        answer(obligations={"hold": []}),
        answer(obligations={"redact": {}}),
        answer(policy={"version": "1"}),
        answer(policy={"version": 1, "revision": "r"}),
        answer(allow=False),
    ],
)
def test_what_has_another_shape_is_no_decision(decision: Any) -> None:
    with pytest.raises(Unavailable) as refused:
        read(decision)
    assert refused.value.code == "policy_unavailable"


@pytest.mark.requirement("GW-01")
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["allow", "reasons", "policy"]), inner)
        ),
    )
)
def test_no_other_document_ever_allows(decision: Any) -> None:
    with pytest.raises(Unavailable):
        read(decision)


@pytest.mark.requirement("POL-04")
def test_a_refusal_has_the_first_reasons_code() -> None:
    with pytest.raises(Denied) as refused:
        require(read(answer(allow=False, reasons=[REASON, {"code": "argument_refused", "message": ""}])))
    assert refused.value.code == "tool_not_allowed"
    assert len(refused.value.reasons) == 2


def test_a_code_of_the_policys_own_refuses_as_a_tool_that_is_not_allowed() -> None:
    with pytest.raises(Denied) as refused:
        require(read(answer(allow=False, reasons=[{"code": "full_moon", "message": "no"}])))
    assert refused.value.code == "tool_not_allowed"
    assert refused.value.reasons[0]["code"] == "full_moon"


@pytest.mark.requirement("GW-01")
@pytest.mark.parametrize(
    "obligations", [{"redact": ["secrets"]}, {"dance": {"steps": 3}}, {"approval": {"role": "x"}}]
)
def test_an_obligation_that_cannot_be_met_refuses(obligations: dict[str, Any]) -> None:
    with pytest.raises(Denied) as refused:
        require(read(answer(obligations=obligations)))
    assert refused.value.code == "obligation_unmet"


def test_an_obligation_that_asks_for_nothing_is_met() -> None:
    require(
        read(answer(obligations={"redact": [], "approval": {}, "hold": {}, "rate_limit": {}, "later": {}}))
    )


def test_the_question_is_the_contracts() -> None:
    call = Call("tool_call", "bank", "send", {"amount": 5}, method="POST", path="/send", content="json")
    question = document(call, PRINCIPAL, Spend(500, "USD", "tool_call", "bank"), "2026-01-01T00:00:00Z")
    assert DecisionInput.model_validate(question).action.name == "bank.send"
    assert document(call, PRINCIPAL, None, "")["spend"] is None


@pytest.mark.requirement("POL-02")
@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("5.5", b"5.5"),
        ("5.50", b"5.5"),
        ("5.00", b"5"),
        ("-0.0", b"-0"),
        ("100", b"100"),
        ("1.364E-10", b"1364E-13"),
        ("-1.20E+30", b"-120E28"),
        ("1E-7", b"1E-7"),
    ],
)
def test_a_fraction_is_written_as_policy_compares_it_exactly(number: str, written: bytes) -> None:
    assert text({"x": Decimal(number)}) == b'{"x":%s}' % written


@pytest.mark.requirement("POL-02")
@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_as_the_same_number(number: Decimal) -> None:
    assert Decimal(text({"x": number})[5:-1].decode()) == number


def test_what_has_no_json_form_is_no_question() -> None:
    with pytest.raises(TypeError):
        text({"x": object()})
