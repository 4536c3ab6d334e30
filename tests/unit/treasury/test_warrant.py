"""A warrant is good for one caller, act, intent and time; of what is wrong the first thing is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.commands import a_warrant, an_intent
from treasury.core.intent import Intent
from treasury.core.warrant import LEEWAY_S, Expected, check, check_intent, read
from treasury.errors import NotAuthorized

pytestmark = pytest.mark.requirement("TRE-03")

AT = datetime(2026, 3, 14, 15, tzinfo=UTC)
AT_S = int(AT.timestamp())
INTENT = an_intent(100)


def warrant(**changes: Any) -> Any:
    told = {"iat": AT_S, "exp": AT_S + 60} | changes
    return a_warrant(INTENT, told.pop("act", "execute"), **told)


def expected(**changes: Any) -> Expected:
    told = {"gateway": "gateway", "tenant": "acme", "principal": "scout", "act": "execute", "at": AT}
    return Expected(**(told | changes))


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"iat": AT_S + LEEWAY_S, "exp": AT_S + LEEWAY_S + 1},
        {"iat": AT_S, "exp": AT_S + 1},
        {"iat": AT_S - 59, "exp": AT_S + 1},
    ],
)
def test_one_that_is_good_is_good(times: dict[str, int]) -> None:
    check(warrant(**times), expected())
    check_intent(warrant(), INTENT)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "other"}, "it was issued by another gateway"),
        ({"tenant": "other"}, "it is for another tenant"),
        ({"principal": "other"}, "it is for another principal"),
        ({"act": "void"}, "it is good for another act"),
        ({"iat": AT_S + LEEWAY_S + 1, "exp": AT_S + 30}, "it is not good yet"),
        ({"iat": AT_S - 60, "exp": AT_S}, "it has expired"),
        ({"exp": AT_S + 61}, "it lives longer than a warrant may"),
        ({"iat": AT_S + 3, "exp": AT_S + 3}, "it lives longer than a warrant may"),
        ({"iss": "other", "tenant": "other", "exp": 1}, "it was issued by another gateway"),
    ],
)
def test_whatever_is_wrong_is_told_and_has_one_code(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(NotAuthorized) as refused:
        check(warrant(**changes), expected())
    assert (refused.value.code, refused.value.detail) == (
        "no_authorization_record",
        f"the warrant was refused: {why}",
    )


def test_it_expires_within_its_second() -> None:
    with pytest.raises(NotAuthorized, match="it has expired"):
        check(warrant(), expected(at=AT + timedelta(seconds=60)))
    check(warrant(), expected(at=AT + timedelta(seconds=59.999)))


@pytest.mark.parametrize(
    ("changes", "intent", "why"),
    [
        ({}, an_intent(100), "it is for another intent"),
        ({"intent_sha256": "0" * 64}, INTENT, "it was written for other terms"),
        ({"currency": "EUR"}, INTENT, "it is in another currency"),
        ({"principal": "other"}, INTENT, "its principal did not declare the intent"),
    ],
)
def test_it_is_for_one_intent(changes: dict[str, Any], intent: Intent, why: str) -> None:
    with pytest.raises(NotAuthorized) as refused:
        check_intent(warrant(**changes), intent)
    assert refused.value.detail == f"the warrant was refused: {why}"


def test_claims_are_exact() -> None:
    claims = warrant().model_dump(mode="json")
    assert read(claims) == warrant(**{name: claims[name] for name in ("jti", "decision_id")})
    with pytest.raises(NotAuthorized) as refused:
        read({**claims, "policy": {"version": "1"}, "more": 1})
    assert (refused.value.code, refused.value.detail) == (
        "no_authorization_record",
        "the warrant is not complete or not exact: policy.revision, more",
    )
