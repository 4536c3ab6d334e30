"""Identifiers and digests.

Identifiers are UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness, so that they sort by
the time they were made and need no sequence in any database. The randomness is the system's, fetched for many
at once: each fetch gives up the interpreter's lock, and a thread that makes many would wait to have it back.
"""

import hashlib
import os
import time
from typing import Any, Final

import orjson

_RANDOM_BYTES: Final = 10
_FETCHED: Final = 256
_random: list[bytes] = []
os.register_at_fork(after_in_child=_random.clear)


def new_id() -> str:
    """A fresh UUIDv7 in its canonical text form."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(_take_random())
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _take_random() -> bytes:
    """Bytes that nobody else gets, whichever thread asks."""
    try:
        return _random.pop()
    except IndexError:
        fetched = os.urandom(_RANDOM_BYTES * _FETCHED)
        _random.extend(
            fetched[at : at + _RANDOM_BYTES] for at in range(_RANDOM_BYTES, len(fetched), _RANDOM_BYTES)
        )
        return fetched[:_RANDOM_BYTES]


def canonical(document: Any) -> bytes:
    """The document as JSON with sorted keys and no spaces: equal documents give equal bytes."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS, default=_number)


def digest(document: Any) -> str:
    """SHA-256 of the canonical form, in lower-case hex."""
    return hashlib.sha256(canonical(document)).hexdigest()


def _number(value: Any) -> orjson.Fragment:
    """An exact decimal, written as it was read."""
    from decimal import Decimal

    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} has no JSON form")
