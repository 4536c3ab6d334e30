"""stdout and stderr of a process that outlives its terminal, the reader of its pipe and a full disk.

Whoever runs a stack may log it to the very disk that is full. What a stream does not take is lost, and
nothing else is: no stack ends because nobody could be told how it fares.
"""

import contextlib
from typing import IO, TextIO, cast


def outlet(stream: TextIO) -> IO[str]:
    """The same stream, except that writing to it never fails."""
    return cast("IO[str]", _Outlet(stream))


class _Outlet:
    """As much of a text stream as is written to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()
