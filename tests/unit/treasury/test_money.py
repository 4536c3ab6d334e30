"""Money is whole minor units of a known currency, and nothing else."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS
from treasury.core.money import Money, major

pytestmark = pytest.mark.requirement("TRE-14")

amounts = st.integers(1, AMOUNT_CENTS_MAX // 2)
currencies = st.sampled_from(sorted(EXPONENTS))


@pytest.mark.parametrize("amount", [0, -1, 2**53, 1.0, "1", True, Decimal(1), None])
def test_other_amounts_are_refused(amount: Any) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        Money(amount, "USD")


def test_other_currencies_are_refused() -> None:
    with pytest.raises(ValueError, match="not an ISO 4217"):
        Money(1, "XXX")
    with pytest.raises(ValueError, match="do not add up"):
        Money(1, "USD") + Money(1, "EUR")


@given(amounts, amounts, currencies)
def test_sums_are_exact(one: int, other: int, currency: str) -> None:
    assert Money(one, currency) + Money(other, currency) == Money(one + other, currency)


@given(st.integers(), currencies)
def test_the_major_unit_is_exact(amount_cents: int, currency: str) -> None:
    written = major(amount_cents, currency)
    assert int(written.replace(".", "")) == amount_cents
    assert len(written.partition(".")[2]) == EXPONENTS[currency]


def test_it_is_written_as_people_do() -> None:
    assert [str(Money(1234, code)) for code in ("USD", "JPY", "KWD")] == [
        "12.34 USD",
        "1234 JPY",
        "1.234 KWD",
    ]
    assert major(-5, "USD") == "-0.05"
