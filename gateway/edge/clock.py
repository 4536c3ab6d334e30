"""The time, as the gateway asks for it."""

import time


class SystemClock:
    """This machine's clocks. The text of a second is written once: twice a call the time is asked for."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """RFC 3339 in UTC, to the millisecond."""
        second, ms = divmod(time.time_ns() // 1_000_000, 1_000)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{ms:03}Z"

    def epoch(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
