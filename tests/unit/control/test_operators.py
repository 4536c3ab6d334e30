"""Operators are known by the digest of their key, and nobody else is."""

from hashlib import sha256

import pytest

from control.errors import Refusal
from control.operators import KEY_CHARS_MAX, Operator, Operators

OLGA = Operator("olga", "executive", "acme")
OPERATORS = Operators({sha256(b"olga-key").hexdigest(): OLGA})


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [("Bearer olga-key", None), ("bearer olga-key", None), (None, "olga-key"), ("Bearer olga-key", "other")],
)
def test_an_operator_is_known_by_either_header(authorization: str | None, api_key: str | None) -> None:
    assert OPERATORS.identify(authorization, api_key) is OLGA


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize(
    ("authorization", "api_key", "code"),
    [
        (None, None, "token_missing"),
        (None, "", "token_missing"),
        ("Bearer", None, "token_missing"),
        ("Bearer ", "olga-key", "token_missing"),
        ("Basic olga-key", None, "token_invalid"),
        ("Bearer agents-key", None, "token_invalid"),
        ("Bearer " + sha256(b"olga-key").hexdigest(), None, "token_invalid"),
        (None, "k" * (KEY_CHARS_MAX + 1), "token_invalid"),
        (None, "olga-keyé", "token_invalid"),
    ],
)
def test_nobody_else_is(authorization: str | None, api_key: str | None, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        OPERATORS.identify(authorization, api_key)
    assert (refused.value.code, refused.value.status) == (code, 401)
