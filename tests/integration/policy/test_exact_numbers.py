"""Numbers in real OPA against decimals in Python: what is allowed is right, what is refused is wrong or long.

The input is written by the gateway, since OPA's own comparison looks at how a number is written.
"""

import subprocess
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core import decide
from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS
from tollhouse.policy.compile import REGO

DIGITS_MAX = 10**18
EXACT_DIGITS = 400
# Whether the tool t.t is permitted under each case's grant, for each case's arguments and spend.
QUERY = """[is_permitted | some case in input.cases
    grants := {"r": {"tools": {"t.t": case.grant}, "patterns": []}}
    call := {
        "principal": {"role": "r"},
        "action": {"kind": "tool_call", "name": "t.t", "arguments": {"x": case.value}},
        "resource": {"content": "json"},
        "spend": case.spend,
    }
    is_permitted := count([1 | data.gateway.tools.permitted(call) with data.gateway.roles as grants]) == 1]"""
# Which of many values keep one word of a rule, asked in one query, where OPA remembers what it was asked.
MANY = """[position | some position, value in input.values
    data.gateway.tools._holds(input.word, input.limit, value)]"""
FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def ask(opa: Path, query: str, document: Any) -> Any:
    command = [str(opa), "eval", "--data", str(REGO), "--stdin-input", "--format", "values", query]
    done = subprocess.run(command, input=decide.text(document), capture_output=True, check=True)
    return orjson.loads(done.stdout)[0]


def permitted(opa: Path, cases: Sequence[dict[str, Any]]) -> list[bool]:
    answers: list[bool] = ask(opa, QUERY, {"cases": [{"spend": None, **case} for case in cases]})
    assert len(answers) == len(cases)
    return answers


def keeping(opa: Path, word: str, limit: Decimal, values: Sequence[Decimal]) -> set[int]:
    return set(ask(opa, MANY, {"word": word, "limit": limit, "values": list(values)}))


def is_multiple(value: Decimal, limit: Decimal) -> bool:
    with localcontext() as context:
        context.prec = EXACT_DIGITS
        return value % limit == 0


def places_of(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -min(0, exponent) if isinstance(exponent, int) else 0


def is_short(value: Decimal, limit: Decimal) -> bool:
    """Whether both are whole numbers of at most 18 digits in a unit of at least 1e-15."""
    places = max(places_of(value.normalize()), places_of(limit.normalize()))
    return places <= 15 and all(abs(number) * 10**places <= DIGITS_MAX for number in (value, limit))


@pytest.mark.requirement("POL-02")
def test_every_cent_is_a_multiple_of_a_cent(opa_binary: Path) -> None:
    cents = [Decimal(cents) / 100 for cents in range(1, 100_001)]
    assert keeping(opa_binary, "multiple_of", Decimal("0.01"), cents) == set(range(len(cents)))


@pytest.mark.requirement("POL-02")
@pytest.mark.parametrize("limit", ["0.05", "0.25", "3", "0.001", "1e-7", "0.07", "-2.5", "1e-15", "700"])
def test_multiples_are_told_exactly(opa_binary: Path, limit: str) -> None:
    cents = [Decimal(cents) / 100 for cents in range(-2_000, 12_000)]
    right = {position for position, value in enumerate(cents) if is_multiple(value, Decimal(limit))}
    assert keeping(opa_binary, "multiple_of", Decimal(limit), cents) == right


LIMITS = st.builds(
    lambda whole, places: Decimal(whole).scaleb(-places), st.integers(1, 10**15 - 1), st.integers(0, 16)
)
NEAR = st.builds(
    lambda sign, places: sign * Decimal(1).scaleb(-places), st.sampled_from([-1, 0, 0, 1]), st.integers(1, 30)
)


def near(value: Decimal, offset: Decimal, zeros: int) -> Decimal:
    """`value` moved, and written with zeros at its end; unmoved where that is longer than a body may have."""
    with localcontext() as context:
        context.prec = EXACT_DIGITS
        moved = value + offset
        moved = moved.quantize(Decimal(1).scaleb(-places_of(moved) - zeros)) if zeros else moved
    return moved if len(str(moved)) <= 64 else value


@pytest.mark.requirement("POL-02")
@given(
    cases=st.lists(
        st.tuples(LIMITS, st.integers(-(10**20), 10**20) | st.integers(-2000, 2000), NEAR, st.integers(0, 3)),
        min_size=100,
        max_size=100,
    )
)
@FEW
def test_what_is_no_multiple_is_never_allowed(opa_binary: Path, cases: Any) -> None:
    asked = [(limit, near(limit * count, offset, zeros)) for limit, count, offset, zeros in cases]
    answers = permitted(
        opa_binary,
        [{"grant": {"arguments": {"x": {"multiple_of": limit}}}, "value": value} for limit, value in asked],
    )
    for (limit, value), allowed in zip(asked, answers, strict=True):
        if allowed or is_short(value, limit):
            assert (limit, value, allowed) == (limit, value, is_multiple(value, limit))


WORDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "const": lambda value, limit: value == limit,
    "enum": lambda value, limit: value in limit,
}


@pytest.mark.requirement("POL-02")
@given(
    cases=st.lists(
        st.tuples(st.sampled_from(sorted(WORDS)), LIMITS, NEAR, st.integers(0, 3)), min_size=100, max_size=100
    )
)
@FEW
def test_numbers_are_compared_as_exact_decimals(opa_binary: Path, cases: Any) -> None:
    asked = [
        (word, [limit] if word == "enum" else limit, near(limit, offset, zeros))
        for word, limit, offset, zeros in cases
    ]
    rules = [{"grant": {"arguments": {"x": {word: limit}}}, "value": value} for word, limit, value in asked]
    for (word, limit, value), allowed in zip(asked, permitted(opa_binary, rules), strict=True):
        assert (word, limit, value, allowed) == (word, limit, value, WORDS[word](value, limit))


@pytest.mark.requirement("POL-02")
@given(data=st.data())
@FEW
def test_values_of_one_batch_are_not_taken_for_each_other(opa_binary: Path, data: st.DataObject) -> None:
    limit = data.draw(LIMITS)
    values = [
        near(limit, data.draw(NEAR), zeros) for zeros in data.draw(st.lists(st.integers(0, 3), min_size=50))
    ]
    right = {position for position, value in enumerate(values) if value <= limit}
    assert keeping(opa_binary, "maximum", limit, values) == right


AMOUNTS = st.integers(1, AMOUNT_CENTS_MAX) | st.integers(1, 100_000)


@pytest.mark.requirement("POL-02")
@given(
    cases=st.lists(
        st.tuples(AMOUNTS, st.sampled_from(["JPY", "USD", "BHD"]), NEAR, st.integers(0, 3)),
        min_size=100,
        max_size=100,
    )
)
@FEW
def test_an_argument_tells_its_exact_price_in_every_currency(opa_binary: Path, cases: Any) -> None:
    asked = [
        (amount_cents, code, near(Decimal(amount_cents).scaleb(-EXPONENTS[code]), offset, zeros))
        for amount_cents, code, offset, zeros in cases
    ]
    answers = permitted(
        opa_binary,
        [
            {
                "grant": {"price": _price(code)},
                "value": value,
                "spend": {"amount_cents": amount_cents, "currency": code},
            }
            for amount_cents, code, value in asked
        ],
    )
    for (amount_cents, code, value), allowed in zip(asked, answers, strict=True):
        right = value == Decimal(amount_cents).scaleb(-EXPONENTS[code])
        assert (amount_cents, code, value, allowed) == (amount_cents, code, value, right)


@pytest.mark.requirement("POL-02")
@given(
    cases=st.lists(
        st.tuples(
            st.integers(1, 10**6), st.integers(0, 10**9), st.integers(0, 4), NEAR, st.sampled_from([0, 1])
        ),
        min_size=100,
        max_size=100,
    )
)
@FEW
def test_units_tell_their_exact_price(opa_binary: Path, cases: Any) -> None:
    asked = []
    for cents, units, places, offset, off_by in cases:
        value = near(Decimal(units).scaleb(-places), offset, 0)
        asked.append((cents, value, max(1, int(value * cents) + off_by)))
    answers = permitted(
        opa_binary,
        [
            {
                "grant": {"price": {"kind": "per_unit", "per_unit_cents": cents, "argument": "x"}},
                "value": value,
                "spend": {"amount_cents": amount_cents, "currency": "USD"},
            }
            for cents, value, amount_cents in asked
        ],
    )
    for (cents, value, amount_cents), allowed in zip(asked, answers, strict=True):
        with localcontext() as context:
            context.prec = EXACT_DIGITS
            right = value * cents == amount_cents
        if allowed or is_short(value, Decimal(1)):
            assert (cents, value, amount_cents, allowed) == (cents, value, amount_cents, right)


@pytest.mark.requirement("POL-02")
@given(
    cases=st.lists(
        st.tuples(LIMITS, st.integers(1, 2000), NEAR, st.integers(0, 3)), min_size=100, max_size=100
    )
)
@FEW
def test_rules_of_items_are_as_exact(opa_binary: Path, cases: Any) -> None:
    asked = [(limit, near(limit * count, offset, zeros)) for limit, count, offset, zeros in cases]
    answers = permitted(
        opa_binary,
        [
            {
                "grant": {
                    "arguments": {"x": {"items": _items({"multipleOf": limit, "maximum": 1000 * limit})}}
                },
                "value": [value],
            }
            for limit, value in asked
        ],
    )
    for (limit, value), allowed in zip(asked, answers, strict=True):
        right = is_multiple(value, limit) and value <= 1000 * limit
        assert (limit, value, allowed) == (limit, value, right)


def _items(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"items": {"items": schema}}}


def _price(code: str) -> dict[str, Any]:
    return {"kind": "argument", "argument": "x", "currency": code, "minor_units": 10 ** EXPONENTS[code]}
