"""Identifiers and digests.

Identifiers are UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness, so that they sort by
the time they were made and need no sequence in any database. The randomness is the system's, fetched for many
at once: each fetch gives up the interpreter's lock, and a thread that makes many would wait to have it back.
"""

import hashlib
import os
import time
import uuid
from typing import Any, Final

import orjson

_TAIL_BYTES: Final = 10
_TAILS_FETCHED: Final = 256
_VARIANT: Final = "89ab"
_DERIVED: Final = uuid.UUID("6f1c8a52-6d2b-5c0e-9d52-7a1f0f1f6c3e")
_tails: list[str] = []
_ms, _head = -1, ""
os.register_at_fork(after_in_child=_tails.clear)


def new_id() -> str:
    """A fresh UUIDv7 in its canonical text form."""
    ms = time.time_ns() // 1_000_000
    return (_head if ms == _ms else _head_of(ms)) + _tail()


def made_ms(identifier: str) -> int:
    """When a UUIDv7 was made, in milliseconds since the epoch; 0 for anything else."""
    try:
        return int(identifier[:8] + identifier[9:13], 16)
    except ValueError:
        return 0


def derived_id(*parts: str) -> str:
    """The same UUID (of version 5) whenever it is asked for with the same parts."""
    return str(uuid.uuid5(_DERIVED, " ".join(parts)))


def _head_of(ms: int) -> str:
    """The time and the version, `tttttttt-tttt-7`: the same for all that are made in this millisecond."""
    global _ms, _head
    digits = f"{ms:012x}"
    head = f"{digits[:8]}-{digits[8:]}-7"
    _head, _ms = head, ms
    return head


def _tail() -> str:
    """The random rest, `rrr-vrrr-rrrrrrrrrrrr`, that nobody else gets, whichever thread asks."""
    try:
        return _tails.pop()
    except IndexError:
        digits = os.urandom(_TAIL_BYTES * _TAILS_FETCHED).hex()
        tails = [_tail_of(digits[at : at + 2 * _TAIL_BYTES]) for at in range(0, len(digits), 2 * _TAIL_BYTES)]
        _tails.extend(tails[1:])
        return tails[0]


def _tail_of(digits: str) -> str:
    return f"{digits[:3]}-{_VARIANT[int(digits[3], 16) & 3]}{digits[4:7]}-{digits[7:19]}"


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
