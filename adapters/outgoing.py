"""The way out of one connection: what is written within one turn of the event loop leaves in one piece.

uvicorn writes an answer's head and body one after the other, and uvloop hands each to the system at once: two
system calls, two packets and two wake-ups of the caller, where one of each will do.

A caller that takes nothing of what waits for it is cut off, and so is one that has not had all of it in the
time that an answer may stream: what waits is memory, and whoever writes it holds the place of a call.
"""

import asyncio
from typing import Any, Final

GATHERED_BYTES_MAX: Final = 65_536
WAITING_BYTES_MAX: Final = 65_536


class Outgoing(asyncio.Transport):
    """A transport around the real one, which keeps its own limits and tells its own errors."""

    __slots__ = (
        "_end_s",
        "_loop",
        "_pieces",
        "_size",
        "_stall_s",
        "_taken_bytes",
        "_timer",
        "_total_s",
        "_transport",
        "_written_bytes",
    )

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, *, stall_s: float, total_s: float
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._stall_s = stall_s
        self._total_s = total_s
        self._pieces: list[bytes] = []
        self._size = 0
        self._written_bytes = 0
        self._taken_bytes = 0
        self._end_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

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
            self._written_bytes += self._size
            pieces, self._pieces, self._size = self._pieces, [], 0
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            if self._timer is None and self._transport.get_write_buffer_size() > WAITING_BYTES_MAX:
                self._watch()

    def _watch(self) -> None:
        self._end_s = self._loop.time() + self._total_s
        self._wait_on()

    def _wait_on(self) -> None:
        self._taken_bytes = self._written_bytes - self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._stall_s, self._look)

    def _look(self) -> None:
        """Whether the caller has taken anything since the last look."""
        self._timer = None
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes <= WAITING_BYTES_MAX and not self._transport.is_closing():
            return
        stalled = self._written_bytes - waiting_bytes == self._taken_bytes
        if stalled or self._loop.time() >= self._end_s:
            self.abort()
        else:
            self._wait_on()

    def close(self) -> None:
        """Close, after what was written; a caller that does not take it is not waited for."""
        self._flush()
        self._transport.close()
        if self._timer is None and self._transport.get_write_buffer_size():
            self._watch()

    def abort(self) -> None:
        """Close at once."""
        self.lost()
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone: nothing is written or watched any more."""
        self._pieces.clear()
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
