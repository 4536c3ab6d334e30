"""A time by which something has to happen, set and cleared far more often than it passes.

The event loop's own timers are made and cancelled each time, which two on every call make dear. This one
keeps the timer that it has: when that fires, it looks whether there is a deadline by then, and when.
"""

import asyncio
from collections.abc import Callable
from typing import Final

_CLOCK_STEP_S: Final = 0.001
"""The loop's clock goes in steps: what is nearer than one has come."""


class Deadline:
    """Calls `passed` when a deadline that was set has passed and was not cleared."""

    __slots__ = ("_by_s", "_fires_s", "_loop", "_passed", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop = loop
        self._passed: Callable[[], None] | None = passed
        self._fires_s = 0.0
        self._by_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is one."""
        return self._by_s is not None

    def set(self, seconds: float) -> None:
        """So long from now; a deadline that was set before is none any more."""
        self._by_s = by_s = self._loop.time() + seconds
        if self._timer is not None and by_s < self._fires_s:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._look_at(by_s)

    def clear(self) -> None:
        """There is none any more."""
        self._by_s = None

    def end(self) -> None:
        """There will be none any more, and nothing is held on to."""
        self._by_s = self._passed = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._by_s is None:
            return
        if self._by_s - self._loop.time() >= _CLOCK_STEP_S:
            self._look_at(self._by_s)
        else:
            self._by_s = None
            if self._passed is not None:
                self._passed()

    def _look_at(self, time_s: float) -> None:
        self._fires_s = time_s
        self._timer = self._loop.call_at(time_s, self._look)
