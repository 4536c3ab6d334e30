"""The only reader of JSON that somebody else wrote.

What is judged must be what is sent, so a body that two readers could understand differently is
refused: a byte order mark, a second document, a duplicate key (after unescaping), a lone surrogate,
NaN and the infinities, a number outside the range that others can hold, nesting beyond a limit, and
anything that is not strict UTF-8. Fractions are read as exact decimals, never as floats.

Most bodies come from machines that write JSON in its shortest form. A text that orjson reads and writes
back byte for byte says each thing once and in one way, so it needs no second look, unless a number in it
could be a fraction or long: that takes a third of the time. Everything else goes the careful way, which
alone defines what is strict.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import orjson

INTEGER_BITS_MAX: Final = 64
NUMBER_CHARS_MAX: Final = 64
_FLOAT_EXPONENT_MAX: Final = 308
# Both take time in proportion to the text, whatever it is: a number ends with its digits, and a string that
# never ends is taken to the end of the text, so that nothing in it is looked at again.
_LONG_OR_FRACTION = re.compile(rb"[0-9](?:[.eE][-+]?[0-9]+(?:[eE][-+]?[0-9]+)?(?:[,}\]]|\Z)|[0-9]{17})")
_BRACKETS_OUTSIDE_STRINGS = re.compile(rb'"(?:[^"\\]+|\\.)*"?|[\[{\]}]', re.DOTALL)
_UNREAD: Final = object()


class NotStrictJSON(ValueError):
    """The text is not one strict JSON document; the message says why in words for a person."""


def read(text: bytes, depth_max: int) -> Any:
    """Read one document. Fractions and exponents come as `Decimal`, integers as `int`.

    Raises `NotStrictJSON` for whatever two readers could take differently.
    """
    if depth_max and not _shallow(text, depth_max):
        raise NotStrictJSON(f"nested deeper than {depth_max} levels")
    document = _read_shortest(text)
    return _read_carefully(text) if document is _UNREAD else document


def _read_shortest(text: bytes) -> Any:
    """The document if the text is its shortest form and holds no number to be careful with, else _UNREAD."""
    if _LONG_OR_FRACTION.search(text):
        return _UNREAD
    try:
        document = orjson.loads(text)
        return document if orjson.dumps(document) == text else _UNREAD
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _UNREAD


def _read_carefully(text: bytes) -> Any:
    try:
        document = _DECODER.decode(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotStrictJSON(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise NotStrictJSON(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise NotStrictJSON("nested too deeply") from None
    if b"\\u" in text and _has_lone_surrogate(document):
        raise NotStrictJSON("half of a surrogate pair stands alone")
    return document


def _has_lone_surrogate(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def _shallow(text: bytes, depth_max: int) -> bool:
    """Whether brackets nest no deeper than the limit; the count alone settles most bodies."""
    if text.count(b"{") + text.count(b"[") <= depth_max:
        return True
    depth = 0
    for match in _BRACKETS_OUTSIDE_STRINGS.finditer(text):
        token = match.group()
        if token in b"{[":
            depth += 1
            if depth > depth_max:
                return False
        elif token in b"}]":
            depth -= 1
    return True


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotStrictJSON(f"the key {name!r} stands twice in one object")
            seen.add(name)
    return members


def _integer(text: str) -> int:
    if len(text) > NUMBER_CHARS_MAX or int(text).bit_length() >= INTEGER_BITS_MAX:
        raise NotStrictJSON(f"the integer {text[:24]} does not fit in {INTEGER_BITS_MAX} bits")
    return int(text)


def _fraction(text: str) -> Decimal:
    try:
        number = Decimal(text)
        far = abs(number.adjusted()) > _FLOAT_EXPONENT_MAX
    except InvalidOperation:  # an exponent beyond what even decimals hold
        far = True
    if far or len(text) > NUMBER_CHARS_MAX:
        raise NotStrictJSON(f"the number {text[:24]} is out of range")
    return number


def _constant(name: str) -> NoReturn:
    raise NotStrictJSON(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
