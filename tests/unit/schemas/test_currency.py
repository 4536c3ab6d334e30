"""Exponents of ISO 4217, compared with what is published for currencies that are often got wrong."""

import pytest

from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS

NO_MINOR_UNIT = {
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "ISK",
    "JPY",
    "KMF",
    "KRW",
    "PYG",
    "RWF",
    "UGX",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF",
}
THOUSANDTHS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}


@pytest.mark.requirement("TRE-14")
def test_exponents_are_those_of_iso_4217() -> None:
    assert {code for code, exponent in EXPONENTS.items() if exponent == 0} == NO_MINOR_UNIT
    assert {code for code, exponent in EXPONENTS.items() if exponent == 3} == THOUSANDTHS
    assert {exponent for code, exponent in EXPONENTS.items() if code not in NO_MINOR_UNIT | THOUSANDTHS} == {
        2
    }


@pytest.mark.requirement("TRE-14")
@pytest.mark.parametrize(
    "code",
    ["USD", "EUR", "GBP", "CHF", "CNY", "INR", "MGA", "MRU", "HUF", "IDR", "LAK", "XCG", "ZWG", "SLE", "VED"],
)
def test_hundredths_where_customs_differ_from_the_list(code: str) -> None:
    assert EXPONENTS[code] == 2


@pytest.mark.requirement("TRE-14")
@pytest.mark.parametrize(
    "code", ["XXX", "XTS", "XAU", "XAG", "XDR", "CLF", "USN", "CHE", "UYI", "HRK", "BTC", "usd", ""]
)
def test_funds_metals_tests_and_the_past_are_no_money(code: str) -> None:
    assert code not in EXPONENTS


def test_codes_are_three_capitals_and_amounts_fit_into_a_double() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)
    assert float(AMOUNT_CENTS_MAX) == AMOUNT_CENTS_MAX
    assert float(AMOUNT_CENTS_MAX + 2) != AMOUNT_CENTS_MAX + 2
