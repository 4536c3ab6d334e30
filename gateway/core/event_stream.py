"""Server-sent events, split where they end, byte for byte as they came.

A stream is event, blank line, event, …, with lines ending in LF, CRLF or CR. Events are relayed whole:
nobody can use half of one, and the one that answers a call is kept back until its outcome is recorded.
"""

import re
from typing import Final, NamedTuple

_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_END_BYTES_MAX: Final = 4
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """An event does not end within the limit."""


class Event(NamedTuple):
    """One event: all its bytes with the blank line, and what its `data` lines say."""

    raw: bytes
    data: bytes


class EventStream:
    """Splits a stream as it comes. `bytes_max` bounds one event."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held = bytearray()
        self._looked_at = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end within this piece. Raises `EventTooLarge`."""
        self._held += piece
        events = []
        start = 0
        for end in _END.finditer(self._held, max(self._looked_at - _END_BYTES_MAX, 0)):
            raw = bytes(self._held[start : end.end()])
            events.append(Event(raw, _data(raw)))
            start = end.end()
        del self._held[:start]
        self._looked_at = len(self._held)
        if self._looked_at > self._bytes_max:
            raise EventTooLarge(f"an event is larger than {self._bytes_max} bytes")
        return events

    @property
    def rest(self) -> bytes:
        """What came after the last whole event."""
        return bytes(self._held)


def _data(raw: bytes) -> bytes:
    lines = _LINE.split(raw.removeprefix(_BYTE_ORDER_MARK))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
