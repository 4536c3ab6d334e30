"""One reading of every body, or none."""

import json
import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.strict_json import NotStrictJSON, read

DEPTH_MAX = 64
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: x == 0 or 1e-300 < abs(x) < 1e300)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def equal(mine: Any, theirs: Any) -> bool:
    """Equal as JSON: same types, members and order; decimals as the floats that others read."""
    if isinstance(mine, Decimal):
        return isinstance(theirs, float) and float(mine) == theirs
    if isinstance(mine, dict):
        return (
            isinstance(theirs, dict)
            and list(mine) == list(theirs)
            and all(equal(mine[name], theirs[name]) for name in mine)
        )
    if isinstance(mine, list):
        return (
            isinstance(theirs, list)
            and len(mine) == len(theirs)
            and all(equal(one, other) for one, other in zip(mine, theirs, strict=True))
        )
    return type(mine) is type(theirs) and bool(mine == theirs)


@pytest.mark.requirement("GW-13")
@given(documents)
def test_what_every_writer_writes_is_read_as_others_read_it(document: Any) -> None:
    for text in (
        orjson.dumps(document),
        json.dumps(document).encode(),
        json.dumps(document, ensure_ascii=False, indent=1).encode(),
    ):
        assert equal(read(text, DEPTH_MAX), json.loads(text))


@pytest.mark.requirement("GW-13")
@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]",:\\u0123456789abcdef.eE-+ntrlsf \n\t', max_size=40).map(str.encode)
)
@example(b'{"a":1,"a":1}')
@example(b'{"a":1e5}')
@example(b'["2.0"]')
@example(b"1.0")
def test_what_is_read_at_all_is_read_like_the_standard_library_reads_it(text: bytes) -> None:
    try:
        mine = read(text, DEPTH_MAX)
    except NotStrictJSON:
        return
    assert equal(mine, json.loads(text))
    assert equal(mine, json.loads(text, object_pairs_hook=once))


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.requirement("GW-13")
@given(documents.filter(lambda document: not isinstance(document, str)), st.sampled_from([b" ", b"\n"]))
def test_the_quick_and_the_careful_way_agree(document: Any, space: bytes) -> None:
    """A space in front makes the text longer than its shortest form."""
    text = orjson.dumps(document)
    assert repr(read(text, DEPTH_MAX)) == repr(read(space + text, DEPTH_MAX))


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "Expecting value"),
        (b"\xef\xbb\xbf{}", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b"[1]\x00", "Extra data"),
        (b"[1,]", "Expecting value"),
        (b"01", "Extra data"),
        (b'{"a":1,"a":1}', "stands twice"),
        (b'{"a":1,"\\u0061":2}', "stands twice"),
        (b'[{"x":{"b":1,"b":2}}]', "stands twice"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\ude00\\ud83d"', "surrogate"),
        (b'{"\\ud800":1}', "surrogate"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xc0\xaf"', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"NaN", "not JSON"),
        (b"[Infinity]", "not JSON"),
        (b"[-Infinity]", "not JSON"),
        (b"1e400", "out of range"),
        (b"1e-400", "out of range"),
        (b"1e99999999999999999999", "out of range"),
        (b"0." + b"1" * 80, "out of range"),
        (b"9223372036854775808", "64 bits"),
        (b"1" * 5000, "64 bits"),
        (b'"\t"', "control character"),
        (b'"\\x41"', "escape"),
        (b'"\\u+123"', "escape"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(NotStrictJSON, match=why):
        read(text, DEPTH_MAX)


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("text", [b"[" * 10_000, b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000])
def test_depth_is_limited(text: bytes) -> None:
    with pytest.raises(NotStrictJSON, match="deeper than 64"):
        read(text, DEPTH_MAX)


def test_depth_without_a_limit_ends_in_a_refusal_too() -> None:
    with pytest.raises(NotStrictJSON, match="too deeply"):
        read(b"[" * 200_000, 0)


@pytest.mark.requirement("GW-13")
@given(st.integers(0, 6), st.integers(1, 6))
def test_the_depth_limit_is_exact(depth: int, limit: int) -> None:
    text = b"[" * depth + b'"[[[[[[\\"{"' + b"]" * depth
    if depth <= limit:
        read(text, limit)
    else:
        with pytest.raises(NotStrictJSON):
            read(text, limit)


@pytest.mark.requirement("TRE-14")
@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"0.1", Decimal("0.1")),
        (b"12.50", Decimal("12.50")),
        (b"1E2", Decimal("1E2")),
        (b"-0.0", Decimal("-0.0")),
        (b"1.00000000000000000000000001", Decimal("1.00000000000000000000000001")),
    ],
)
def test_fractions_are_exact(text: bytes, number: Decimal) -> None:
    for document in (text, b"[" + text + b"]"):
        found = read(document, DEPTH_MAX)
        value = found[0] if isinstance(found, list) else found
        assert isinstance(value, Decimal)
        assert (value, str(value)) == (number, str(number))


def test_integers_are_exact() -> None:
    for number in (0, -1, 2**53, 2**53 + 1, 10**17, 10**18 - 1, 2**63 - 1, -(2**63) + 1):
        found = read(str(number).encode(), DEPTH_MAX)
        assert (type(found), found) == (int, number)
    assert math.isclose(float(read(b"1e308", DEPTH_MAX)), 1e308)
