"""Reading a body takes time in proportion to its length, whoever wrote it; and it reads what it should."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.strict_json import INTEGER_BITS_MAX, NUMBER_CHARS_MAX, NotStrictJSON, read
from tests.fixtures.growth import TIMES_LARGER, grows_linearly

DEPTH_MAX = 8
UNITS = 2_000
BEFORE = [b"", b'"', b"[]" * 9, b"[]" * 9 + b'"', b"[" * 9 + b'"', b'{"a":']
HOSTILE = [
    b"1e", b"1.1e", b"1.1e1", b"1.", b"1", b"-", b"1" * 17 + b"a", b"1.5,", b'"1.5"', b"0e0,",
    b'\\"', b"\\\\", b"\\", b'"', b'\\"[', b'"\\', b"\\\n", b"\\u0061", b"\\ud800", b"[", b"[]", b"{}", b"}{",
    b'"a":1,', b" ", b"a", b"\xc3\xa4",
]  # fmt: skip
FRAGMENTS = [
    "{", "}", "[", "]", "[]", '"', '\\"', "\\\\", "\\u0061", "\\ud800", ":", ",", '"a":', "a", " ",
    "1e1", "1.5", "-", "0", "1", "e", "E", "+", ".", "123456789012345678", "9" * 70, "1e308", "1e309",
    "true", "null", "NaN", "\n", "\\\n",
]  # fmt: skip


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("before", BEFORE)
def test_no_text_takes_more_time_than_its_length_explains(before: bytes, unit: bytes) -> None:
    for after in (b"", b'"', b"x"):
        small, large = (before + unit * units + after for units in (UNITS, UNITS * TIMES_LARGER))
        assert grows_linearly(outcome, small, large), after


@pytest.mark.requirement("GW-13")
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join))
def test_whatever_is_read_is_what_the_rules_alone_say(text: str) -> None:
    """Against a reader of no quick ways: the standard library's, with every rule asked of all that it met."""
    expected: Any
    try:
        expected = slowly(text)
    except (ValueError, RecursionError, InvalidOperation):
        expected = NotStrictJSON
    assert repr(outcome(text.encode())) == repr(expected)


def outcome(text: bytes) -> Any:
    try:
        return read(text, DEPTH_MAX)
    except NotStrictJSON:
        return NotStrictJSON


def slowly(text: str) -> Any:
    document = json.loads(
        text, object_pairs_hook=once, parse_int=whole, parse_float=fraction, parse_constant=refused
    )
    if depth(document) > DEPTH_MAX:
        raise ValueError("deep")
    json.dumps(document, ensure_ascii=False, default=str).encode()
    return document


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("twice")
    return dict(pairs)


def whole(text: str) -> int:
    return int(text) if abs(int(text)) < 2 ** (INTEGER_BITS_MAX - 1) else refused(text)


def fraction(text: str) -> Decimal:
    number = Decimal(text)
    return number if len(text) <= NUMBER_CHARS_MAX and abs(number.adjusted()) <= 308 else refused(text)


def refused(text: str) -> Any:
    raise ValueError(text)


def depth(document: Any) -> int:
    inner = document.values() if isinstance(document, dict) else document
    return 1 + max(map(depth, inner), default=0) if isinstance(document, dict | list) else 0
