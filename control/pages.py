"""Lists: `{items, next_cursor}`. A cursor is opaque to its bearer and names the last item of a page."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

import orjson

from control.errors import Refusal

CURSOR_CHARS_MAX: Final = 400
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1


def page(items: Sequence[Any], next_place: Sequence[Any] | None) -> dict[str, Any]:
    """One page; `next_place` is None on the last one."""
    return {"items": items, "next_cursor": None if next_place is None else write_cursor(next_place)}


def write_cursor(place: Sequence[Any]) -> str:
    """A place as a text that goes into a URL."""
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).decode().rstrip("=")


def read_cursor(cursor: str, *types: type[int] | type[str]) -> list[Any]:
    """The place that a cursor names, as values of these types; raises `Refusal` (invalid).

    No text has a NUL, and every number fits into 64 bits: PostgreSQL can look for them.
    """
    try:
        place = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError):
        place = None
    if not isinstance(place, list) or [type(part) for part in place] != list(types):
        raise no_cursor()
    if not all(_is_storable(part) for part in place):
        raise no_cursor()
    return place


def no_cursor() -> Refusal:
    """The refusal of what was never given out as a cursor of this list."""
    return Refusal("invalid", [{"loc": ["query", "cursor"], "message": "not a cursor of this list"}])


def _is_storable(part: Any) -> bool:
    return _INT_MIN <= part <= _INT_MAX if isinstance(part, int) else "\x00" not in part
