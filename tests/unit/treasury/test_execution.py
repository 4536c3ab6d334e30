"""What may be taken of a hold, and how a hold ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury.core.execution import (
    HeldSpend,
    ending,
    execute,
    refuse_unless_open,
    refuse_unless_voidable,
    settle,
)
from treasury.errors import Refused

pytestmark = pytest.mark.requirement("TRE-04")

NOW = datetime(2026, 3, 14, tzinfo=UTC)


def held(
    authorization: str = "approved",
    hold: str = "placed",
    unsettled: str = "release",
    amount_cents: int = 100,
    captured_cents: int = 0,
) -> HeldSpend:
    return HeldSpend(authorization, hold, unsettled, amount_cents, captured_cents, NOW + timedelta(seconds=1))


@given(st.lists(st.integers(1, 60), max_size=20))
def test_parts_never_add_up_to_more_than_was_authorized(parts: list[int]) -> None:
    captured, codes = 0, set()
    for part in parts:
        try:
            taken = execute(held(captured_cents=captured), part, 100, NOW)
        except Refused as refused:
            codes.add(refused.code)
        else:
            captured += taken.amount_cents
            assert taken.closes == (captured == 100)
            if taken.closes:
                break
    assert captured <= 100
    assert codes <= {"spend_exceeds_ceiling"}


@pytest.mark.parametrize(
    ("spend", "amount_cents", "code"),
    [
        (held("pending"), None, "authorization_not_approved"),
        (held("denied"), None, "no_authorization_record"),
        (held("expired", "expired"), None, "authorization_expired"),
        (held("voided", "voided"), None, "authorization_voided"),
        (held("executed", "captured", captured_cents=100), None, "duplicate"),
        (held("executed", "captured", captured_cents=100), 1, "spend_exceeds_ceiling"),
        (held(), 101, "spend_exceeds_ceiling"),
        (held(unsettled="unknown"), None, "no_authorization_record"),
        (held(unsettled="unknown"), 1, "no_authorization_record"),
        (held(hold="unknown", unsettled="unknown"), None, "no_authorization_record"),
        (held("executed", "captured", "unknown", captured_cents=40), 1, "no_authorization_record"),
        (held("pending", unsettled="unknown"), None, "authorization_not_approved"),
    ],
)
def test_what_is_not_open_is_not_executed(spend: HeldSpend, amount_cents: int | None, code: str) -> None:
    with pytest.raises(Refused) as refused:
        execute(spend, amount_cents, 1_000, NOW)
    assert refused.value.code == code


def test_time_is_up_at_the_very_moment() -> None:
    with pytest.raises(Refused, match="expired"):
        execute(held(), None, 100, NOW + timedelta(seconds=1))
    assert execute(held(), None, 100, NOW).amount_cents == 100


@pytest.mark.parametrize(
    ("spend", "code"),
    [
        (held(), "no_authorization_record"),
        (held("pending", unsettled="unknown"), "authorization_not_approved"),
        (held("executed", "captured", "unknown"), "duplicate"),
    ],
)
def test_a_gateway_settles_open_paid_calls_alone(spend: HeldSpend, code: str) -> None:
    with pytest.raises(Refused) as refused:
        refuse_unless_open(spend)
    assert refused.value.code == code


def test_a_paid_call_is_settled_within_its_hold() -> None:
    taken = settle(held(unsettled="unknown"), 30)
    assert (taken.amount_cents, taken.released_cents, taken.closes) == (30, 70, True)
    with pytest.raises(Refused, match="more than the 100"):
        settle(held(unsettled="unknown"), 101)


@pytest.mark.parametrize(
    ("spend", "code"),
    [
        (held("executed", "captured"), "duplicate"),
        (held("voided", "voided"), "authorization_voided"),
        (held("executed", "captured", "unknown"), "duplicate"),
        (held("voided", "voided", "unknown"), "authorization_voided"),
        (held("approved", "placed", "unknown"), "no_authorization_record"),
        (held("approved", "unknown", "unknown"), "no_authorization_record"),
    ],
)
def test_what_is_over_or_a_gateways_is_not_voided(spend: HeldSpend, code: str) -> None:
    refuse_unless_voidable(held())
    refuse_unless_voidable(held("pending"))
    refuse_unless_voidable(held("pending", unsettled="unknown"))
    with pytest.raises(Refused) as refused:
        refuse_unless_voidable(spend)
    assert refused.value.code == code


def test_endings() -> None:
    assert ending(held()) == ("expired", "expired")
    assert ending(held("pending", unsettled="unknown")) == ("expired", "expired")
    assert ending(held(unsettled="unknown")) == ("unknown", None)
