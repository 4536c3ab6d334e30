"""The price of a call, with values."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.classify import Call
from gateway.core.identify import Principal
from gateway.core.price import PriceTable, glob, price, table
from gateway.errors import Denied
from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS
from tests.fixtures.growth import TIMES_LARGER, grows_linearly

EXECUTOR = Principal(id="scout", role="executor", tenant="acme", method="api_key")
FIXED = {"kind": "fixed", "fixed_cents": 5, "charged_on_error": False}


def by_argument(currency: str = "USD", argument: str = "amount") -> dict[str, Any]:
    return {"kind": "argument", "argument": argument, "currency": currency, "charged_on_error": False}


def per_unit(cents: int) -> dict[str, Any]:
    return {"kind": "per_unit", "per_unit_cents": cents, "argument": "pages", "charged_on_error": True}


def prices(tools: dict[str, Any] | None = None, patterns: list[dict[str, Any]] | None = None) -> PriceTable:
    roles = {"executor": {"tools": tools or {}, "patterns": patterns or []}}
    return table({"revision": "ab" * 32, "currency": "USD", "roles": roles})


def send_money(**arguments: Any) -> Call:
    return Call(kind="tool_call", server="bank", tool="send_money", arguments=arguments)


@pytest.mark.requirement("GW-10")
def test_a_tool_without_a_price_is_free() -> None:
    assert price(send_money(amount=5), EXECUTOR, prices({"bank.other": FIXED})) is None


@pytest.mark.requirement("GW-10")
def test_another_roles_price_is_not_ours() -> None:
    stranger = Principal(id="x", role="stranger", tenant="acme", method="api_key")
    assert price(send_money(), stranger, prices({"bank.send_money": FIXED})) is None


@pytest.mark.requirement("GW-10")
def test_a_fixed_price_names_its_rule_purpose_and_payee() -> None:
    spend = price(send_money(), EXECUTOR, prices({"bank.send_money": FIXED}))
    assert spend is not None
    assert (spend.amount_cents, spend.currency) == (5, "USD")
    assert (spend.purpose, spend.payee, spend.price) == ("tool_call", "bank", FIXED)


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize("rule", [by_argument(), per_unit(2) | {"argument": "amount"}])
def test_a_price_in_a_body_that_was_not_read_says_so(rule: dict[str, Any]) -> None:
    unread = send_money()._replace(content="opaque")
    with pytest.raises(Denied) as refused:
        price(unread, EXECUTOR, prices({"bank.send_money": rule}))
    assert refused.value.detail == (
        "the argument 'amount', which tells the price, was not read: the body's Content-Type is not"
        " application/json"
    )
    assert price(unread, EXECUTOR, prices({"bank.send_money": FIXED})) is not None


METERED = {
    "kind": "metered",
    "rate_cents": 2,
    "rate_seconds": 1,
    "max_seconds": 600,
    "charged_on_error": False,
}


@pytest.mark.requirement("TRE-15")
@pytest.mark.parametrize(("seconds", "cents"), [(1, 1_200), (60, 20), (599, 3), (3_600, 1)])
def test_a_metered_call_costs_what_its_longest_time_comes_to(seconds: int, cents: int) -> None:
    rule = METERED | {"rate_seconds": seconds}
    spend = price(send_money(), EXECUTOR, prices({"bank.send_money": rule}))
    assert spend is not None
    assert (spend.amount_cents, spend.currency, spend.payee, spend.price) == (cents, "USD", "bank", rule)


@pytest.mark.requirement("TRE-15")
@pytest.mark.parametrize("word", ["rate_cents", "rate_seconds", "max_seconds"])
def test_a_metered_price_of_another_form_is_unpriceable(word: str) -> None:
    rules: list[dict[str, Any]] = [METERED | {word: wrong} for wrong in (0, -1, "2", 1.5, None)]
    for rule in (*rules, {name: value for name, value in METERED.items() if name != word}):
        with pytest.raises(Denied) as refused:
            price(send_money(), EXECUTOR, prices({"bank.send_money": rule}))
        assert refused.value.code == "call_unpriceable"


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    ("currency", "amount", "cents"),
    [
        ("USD", 12, 1200),
        ("USD", Decimal("12.34"), 1234),
        ("USD", Decimal("0.01"), 1),
        ("USD", Decimal("1E+2"), 10000),
        ("USD", Decimal("12.3400"), 1234),
        ("JPY", 500, 500),
        ("KWD", Decimal("1.005"), 1005),
        ("USD", Decimal("90071992547409.91"), AMOUNT_CENTS_MAX),
    ],
)
def test_an_argument_is_converted_by_the_currencys_exponent(
    currency: str, amount: int | Decimal, cents: int
) -> None:
    spend = price(send_money(amount=amount), EXECUTOR, prices({"bank.send_money": by_argument(currency)}))
    assert spend is not None
    assert (spend.amount_cents, spend.currency) == (cents, currency)


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-14")
@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("USD", Decimal("12.345")),
        ("JPY", Decimal("0.5")),
        ("USD", 0),
        ("USD", Decimal("0.00")),
        ("USD", Decimal("-0.0")),
        ("USD", -5),
        ("USD", True),
        ("USD", "12"),
        ("USD", None),
        ("USD", [12]),
        ("USD", 12.5),
        ("USD", Decimal("1E-300")),
        ("USD", Decimal("1E+300")),
        ("USD", 2**63),
        ("USD", Decimal("90071992547409.92")),
        ("XXX", 1),
    ],
)
def test_an_amount_that_is_no_money_is_unpriceable(currency: str, amount: Any) -> None:
    with pytest.raises(Denied) as refused:
        price(send_money(amount=amount), EXECUTOR, prices({"bank.send_money": by_argument(currency)}))
    assert refused.value.code == "call_unpriceable"
    assert refused.value.reasons[0]["code"] == "call_unpriceable"


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize("amount", [0, -5, 2**63])
def test_an_amount_out_of_range_is_told_by_its_argument(amount: int) -> None:
    rules = prices({"bank.send_money": by_argument(argument="order.amount")})
    told = r"^the argument 'order.amount', which tells the price, must come to 1 to 9007199254740991 minor"
    with pytest.raises(Denied, match=told):
        price(send_money(order={"amount": amount}), EXECUTOR, rules)
    with pytest.raises(Denied, match=r"^the price must come to 1 to"):
        price(send_money(), EXECUTOR, prices({"bank.send_money": FIXED | {"fixed_cents": 0}}))


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    "arguments",
    [
        {"order": {"amount": 5, "Amount": 5000}},
        {"order": {"AMOUNT": 5000, "amount": 5}},
        {"order": {"amount": 5}, "Order": {"amount": 5000}},
    ],
)
def test_an_argument_with_a_twin_in_another_case_is_unpriceable(arguments: dict[str, Any]) -> None:
    rules = prices({"bank.send_money": by_argument(argument="order.amount")})
    with pytest.raises(Denied) as refused:
        price(send_money(**arguments), EXECUTOR, rules)
    assert refused.value.code == "call_unpriceable"
    alone = price(send_money(order={"amount": 5, "note": "Amount"}), EXECUTOR, rules)
    assert alone is not None
    assert alone.amount_cents == 500


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    "arguments",
    [{}, {"total": 5}, {"order": {}}, {"order": 5}, {"order": [{"amount": 5}]}, {"order.amount": 5}],
)
def test_a_missing_argument_is_unpriceable(arguments: dict[str, Any]) -> None:
    rule = by_argument(argument="order.amount")
    with pytest.raises(Denied, match="missing"):
        price(send_money(**arguments), EXECUTOR, prices({"bank.send_money": rule}))


@pytest.mark.requirement("GW-10")
def test_a_path_reaches_into_objects() -> None:
    rule = by_argument(argument="order.amount")
    call = send_money(order={"amount": Decimal("1.5")}, **{"order.amount": 1})
    spend = price(call, EXECUTOR, prices({"bank.send_money": rule}))
    assert spend is not None
    assert spend.amount_cents == 150


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    ("pages", "cents", "total"), [(3, 2, 6), (Decimal("2.5"), 2, 5), (Decimal("3.0"), 7, 21)]
)
def test_units_are_multiplied(pages: int | Decimal, cents: int, total: int) -> None:
    spend = price(send_money(pages=pages), EXECUTOR, prices({"bank.send_money": per_unit(cents)}))
    assert spend is not None
    assert (spend.amount_cents, spend.currency) == (total, "USD")


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize("pages", [0, -1, True, "3", Decimal("0.5"), 2**53])
def test_units_that_cost_no_whole_amount_are_unpriceable(pages: Any) -> None:
    with pytest.raises(Denied, match=r"price|digits"):
        price(send_money(pages=pages), EXECUTOR, prices({"bank.send_money": per_unit(1)}))


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    "rule", [{}, {"kind": "auction"}, {"kind": "fixed"}, {"kind": "fixed", "fixed_cents": "5"}]
)
def test_a_rule_of_an_unknown_form_is_unpriceable(rule: dict[str, Any]) -> None:
    with pytest.raises(Denied, match="form"):
        price(send_money(amount=5), EXECUTOR, prices({"bank.send_money": rule}))


@pytest.mark.requirement("GW-10")
def test_the_exact_name_wins_over_patterns_and_the_first_pattern_over_later_ones() -> None:
    wide = {"glob": "bank.*", "price": {"kind": "fixed", "fixed_cents": 9}}
    narrow = {"glob": "bank.send_*", "price": {"kind": "fixed", "fixed_cents": 3}}

    def cents(listed: PriceTable) -> int | None:
        spend = price(send_money(), EXECUTOR, listed)
        return spend and spend.amount_cents

    assert cents(prices({"bank.send_money": FIXED}, [wide])) == 5
    assert cents(prices({}, [narrow, wide])) == 3
    assert cents(prices({}, [wide, narrow])) == 9
    assert cents(prices({"bank.send_money": None}, [wide])) is None
    assert cents(prices({}, [{"glob": "bank.send_*", "price": None}, wide])) is None


@pytest.mark.requirement("GW-10")
@given(pattern=st.text("ab.*\n", max_size=8), name=st.text("ab.\n", max_size=10))
@example(pattern="a*b*a", name="aba")
@example(pattern="*a*a", name="a")
def test_a_star_stands_for_any_characters_and_nothing_else_is_special(pattern: str, name: str) -> None:
    assert bool(glob(pattern).fullmatch(name)) is stands_for(pattern, name)


def stands_for(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(stands_for(pattern[1:], name[skipped:]) for skipped in range(len(name) + 1))
    return name[:1] == pattern[0] and stands_for(pattern[1:], name[1:])


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("pattern", ["bank.*a*a*a*a*b", "bank.*a*b*a*c", "*a*", "bank.**********b", "*aa*ab"])
def test_a_long_name_takes_no_longer_than_its_length_explains(pattern: str) -> None:
    small, large = ("bank." + "a" * length for length in (2_000, 2_000 * TIMES_LARGER))
    assert grows_linearly(glob(pattern).fullmatch, small, large)


def test_only_tool_calls_have_a_price() -> None:
    listing = Call(kind="tool_list", server="bank", tool="send_money")
    assert price(listing, EXECUTOR, prices({"bank.send_money": FIXED})) is None


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-14")
@given(
    currency=st.sampled_from(sorted(EXPONENTS)),
    cents=st.integers(min_value=1, max_value=AMOUNT_CENTS_MAX),
    zeros=st.integers(min_value=0, max_value=20),
)
def test_every_amount_survives_its_way_through_the_major_unit(currency: str, cents: int, zeros: int) -> None:
    exponent = EXPONENTS[currency]
    text = f"{cents // 10**exponent}.{cents % 10**exponent:0{exponent}d}" if exponent else str(cents)
    amount = Decimal(text + ("0" * zeros if exponent else ""))
    spend = price(send_money(amount=amount), EXECUTOR, prices({"bank.send_money": by_argument(currency)}))
    assert spend is not None
    assert spend.amount_cents == cents


@pytest.mark.requirement("GW-10")
@given(amount=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_an_amount_is_exact_or_refused(amount: Decimal) -> None:
    cents = Fraction(amount) * 100
    listed = prices({"bank.send_money": by_argument("USD")})
    if cents.denominator == 1 and 0 < cents <= AMOUNT_CENTS_MAX:
        spend = price(send_money(amount=amount), EXECUTOR, listed)
        assert spend is not None
        assert spend.amount_cents == cents
    else:
        with pytest.raises(Denied):
            price(send_money(amount=amount), EXECUTOR, listed)
