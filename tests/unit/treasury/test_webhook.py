"""Stripe's signature scheme with values: what it takes, and everything that it refuses."""

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury.core.top_up import TopUp, read, standing_workflow
from treasury.core.webhook import check
from treasury.errors import NotAuthorized, Refused

pytestmark = pytest.mark.requirement("TRE-16")

BODY = b'{"id": "evt_1"}'
NOW_S = 1_700_000_000
OLD, NEW = "whsec_of_yesterday_0", "whsec_of_today_00000"


def signature(secret: str = NEW, at: int | str = NOW_S, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def header(*signatures: str, at: int | str = NOW_S) -> str:
    return ",".join([f"t={at}", *(f"v1={value}" for value in signatures)])


def refusal(shown: str, body: bytes = BODY, now_s: float = NOW_S) -> str | None:
    try:
        check(shown, body, [OLD, NEW], now_s, 300)
    except NotAuthorized as refused:
        return refused.code
    return None


def test_what_was_signed_just_now_is_taken() -> None:
    assert refusal(header(signature())) is None
    assert refusal(header(signature(OLD))) is None
    assert refusal(header(signature("whsec_unknown_secret"), signature())) is None
    assert refusal(f"t={NOW_S},v0=abc,v1={signature()},scheme") is None


@pytest.mark.parametrize("apart_s", [-301, 301, -(10**9)])
def test_a_time_that_is_far_away_is_stale(apart_s: int) -> None:
    at = NOW_S + apart_s
    assert refusal(header(signature(at=at), at=at)) == "signature_stale"


@pytest.mark.parametrize("apart_s", [-300, 300])
def test_a_time_within_the_tolerance_is_taken(apart_s: int) -> None:
    assert refusal(header(signature()), now_s=NOW_S + apart_s) is None


@pytest.mark.parametrize(
    "shown",
    [
        "",
        f"t={NOW_S}",
        f"v1={signature()}",
        header(signature("whsec_unknown_secret")),
        header(signature().upper()),
        header(signature()[:-1]),
        header(signature(), at="now"),
        header(signature(at=NOW_S + 1)),
        f"t={NOW_S},t={NOW_S},v1={signature()}",
        f"t={NOW_S},v0={signature()}",
        f"t=-{NOW_S},v1={signature(at=-NOW_S)}",
        header(*[signature()] * 11),
        header(signature()) + "," + "x" * 2_000,
    ],
)
def test_what_is_no_signature_is_refused(shown: str) -> None:
    assert refusal(shown) == "signature_invalid"


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (header("0" * 64), "the signature does not fit the body"),
        (f"t={NOW_S}", "the signature header is not t=…,v1=…"),
        ("x" * 2_001, "the signature header is too long"),
        ("x" * 2_000, "the signature header is not t=…,v1=…"),
        (header(signature(at=1), at=1), "it was not signed within 300 s of now"),
    ],
)
def test_a_refusal_tells_why(shown: str, told: str) -> None:
    with pytest.raises(NotAuthorized) as refused:
        check(shown, BODY, [NEW], NOW_S, 300)
    assert refused.value.detail == told


def test_a_header_as_long_as_may_be_is_read() -> None:
    long = header(*[signature()] * 10)
    assert refusal(long + "," + "x" * (1_999 - len(long))) is None
    assert refusal(header(signature()) + ",v1=a=b") is None


@given(st.binary().filter(lambda body: body != BODY))
def test_an_edited_body_is_refused(body: bytes) -> None:
    assert refusal(header(signature()), body) == "signature_invalid"


def event(**changes: Any) -> dict[str, Any]:
    paid = {
        "id": "pi_1",
        "amount_received": 5_000,
        "currency": "usd",
        "metadata": {"tollhouse_budget": "prepaid:acme"},
    }
    return {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": paid | changes}}


def test_an_event_of_a_payment_is_a_top_up() -> None:
    top_up = read("stripe", ["acme"], event())
    assert isinstance(top_up, TopUp)
    assert (top_up.event_id, top_up.reference, top_up.tenant) == ("evt_1", "pi_1", "acme")
    assert (top_up.budget_key, str(top_up.money)) == ("prepaid:acme", "50.00 USD")
    assert top_up.workflow_id == standing_workflow("acme", "prepaid:acme")
    assert {posting.account for posting in top_up.entry().postings} == {
        "tollhouse:operating",
        "tollhouse:top-ups:stripe",
    }
    metadata = {"tollhouse_budget": "b", "tollhouse_tenant": "globex"}
    other = read("stripe", ["acme", "globex"], event(metadata=metadata))
    assert other is not None
    assert other.tenant == "globex"


@pytest.mark.parametrize("kind", ["charge.succeeded", "checkout.session.completed", None])
def test_other_types_of_event_credit_nothing(kind: Any) -> None:
    assert read("stripe", ["acme"], event() | {"type": kind}) is None


@pytest.mark.parametrize(
    ("told", "place"),
    [
        (event(amount_received=0), "amount_received"),
        (event(amount_received="5000"), "amount_received"),
        (event(currency="xxx"), "amount_received"),
        (event(metadata=None), "metadata"),
        (event(metadata={}), "tollhouse_budget"),
        (event(metadata={"tollhouse_budget": "x" * 201}), "tollhouse_budget"),
        (event(metadata={"tollhouse_budget": "b", "tollhouse_tenant": "globex"}), "tollhouse_tenant"),
        (event(metadata={"tollhouse_budget": "b", "tollhouse_tenant": ["acme"]}), "tollhouse_tenant"),
        (event(id=None), "id"),
        (event() | {"id": ""}, "id"),
        (event() | {"data": {"object": []}}, "object"),
        ([], "body"),
    ],
)
def test_a_payment_that_does_not_say_enough_is_refused(told: Any, place: str) -> None:
    with pytest.raises(Refused) as refused:
        read("stripe", ["acme"], told)
    assert (refused.value.code, refused.value.detail[0]["loc"][-1]) == ("invalid", place)


def test_where_several_tenants_may_be_credited_one_is_named() -> None:
    with pytest.raises(Refused):
        read("stripe", ["acme", "globex"], event())
