"""What asks a stack to stop: Ctrl-C, SIGTERM, and the end of the terminal that it runs in.

While a stack starts, a signal becomes an exception wherever we are, since a start may wait anywhere; and not
everywhere is a good place. Python drops what is raised in its hooks around a fork, or while an object is
finalized; and a lock that was just taken, as `subprocess` takes one to ask after a child, stays taken. So
nothing is raised while `whole` is held, and the first signal asks again and again until somebody has heard.
Once the stack is up the signal is noted, and whoever watches the stack looks; only where that takes too long,
since a terminal takes no more words or a disk hangs, it is raised once after all. All later signals are
nothing new. They are not ignored as the kernel knows it: a child would inherit that.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALLED = 128
AGAIN_S = 0.5
LOOKED_WITHIN_S = 5.0

whole = threading.Lock()
"""Held for a moment around what must not end half-way."""


class StopAsked(SystemExit):
    """A signal came. A SystemExit, since that alone gets through an event loop's callbacks.

    `code` is that of a process that the signal ended.
    """


class Stop:
    """Whether we were asked to stop, and whether asking breaks off what we do."""

    def __init__(self) -> None:
        self._code = 0
        self._stage: Literal["starting", "watching", "stopping"] = "starting"

    def asked(self) -> bool:
        """Whether a signal came."""
        return self._code != 0

    def watched(self) -> None:
        """From here on somebody looks whether we were asked; nothing is raised unless that takes too long."""
        self._enter("watching")

    def heard(self) -> None:
        """From here on nothing is raised."""
        self._enter("stopping")

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """Handle one of SIGNALS. Raises StopAsked while we start."""
        if self._code:
            return
        self._code = SIGNALLED + number
        if self._stage == "starting":
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)
            self.ask_again()
        elif self._stage == "watching":
            signal.setitimer(signal.ITIMER_REAL, LOOKED_WITHIN_S)

    def ask_again(self, *_: object) -> None:
        """Handle the alarm that follows it. Raises StopAsked, unless it was heard or this is no place."""
        if self._code and self._stage != "stopping" and not whole.locked():
            raise StopAsked(self._code)

    def _enter(self, stage: Literal["watching", "stopping"]) -> None:
        self._stage = stage
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Each signal asks to stop. A SIGHUP that `nohup` took away stays away."""
    stop = Stop()
    heard = [each for each in SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop.ask) for number in heard}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stop.ask_again)
    try:
        yield stop
    finally:
        stop.heard()
        for number, handler in before.items():
            signal.signal(number, handler)
