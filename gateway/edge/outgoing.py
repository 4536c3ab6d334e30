"""The way out of one connection: what is written within one turn of the event loop leaves in one piece.

uvicorn writes an answer's head and body one after the other, and uvloop hands each to the system at once: two
system calls, two packets and two wake-ups of the caller, where one of each will do.
"""

import asyncio
from typing import Any, Final

GATHERED_BYTES_MAX: Final = 65_536


class Outgoing(asyncio.Transport):
    """A transport around the real one, which keeps its own limits and tells its own errors."""

    __slots__ = ("_loop", "_pieces", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> None:
        """Take a piece; it leaves before the loop waits again, or at once when there is much."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)
        self._size += len(data)
        if self._size > GATHERED_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._pieces:
            pieces, self._pieces, self._size = self._pieces, [], 0
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def close(self) -> None:
        """Close, after what was written."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._pieces.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or will be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Hold the caller back."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the caller go on."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the real one knows of its socket."""
        return self._transport.get_extra_info(name, default)
