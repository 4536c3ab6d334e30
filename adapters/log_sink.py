"""Where log lines go, without ever failing who writes them.

A service's log is a file, often on the very disk that is full: to log that a write failed must not be a
failure of its own, in the middle of what mends the first one.
"""

from typing import Final, Protocol

import orjson

LOST: Final = "log_lines_lost"


class Raw(Protocol):
    """A binary file; raises `OSError` where it cannot be written, `ValueError` once it is closed."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class LogSink:
    """Lines that cannot be written are lost and counted; the count is told before the next that can be."""

    def __init__(self, raw: Raw, service: str) -> None:
        self._raw = raw
        self._service = service
        self._lost = 0

    def write(self, line: bytes | str) -> int:
        """Write the line, or lose it."""
        data = line.encode() if isinstance(line, str) else line
        try:
            if self._lost:
                self._raw.write(self._told())
                self._lost = 0
            self._raw.write(data)
        except (OSError, ValueError):
            self._lost += 1
        return len(line)

    def flush(self) -> None:
        """Hand on what was written, if it can be taken now; else it waits."""
        try:
            self._raw.flush()
        except (OSError, ValueError):
            return

    def _told(self) -> bytes:
        told = {"event": LOST, "lines": self._lost, "level": "warning", "service": self._service}
        return orjson.dumps(told) + b"\n"
