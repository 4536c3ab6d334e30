"""What asks a stack to stop: Ctrl-C, SIGTERM, and the end of the terminal that it runs in.

A signal becomes an exception wherever we are, and not everywhere is a good place. Python drops what is
raised in its hooks around a fork, or while an object is finalized; and a lock that was just taken, as
`subprocess` takes one to ask after a child, stays taken. So nothing is raised while `whole` is held, and the
first signal asks again and again until somebody has heard; all others are nothing new. They are not ignored
as the kernel knows it, since a child would inherit that.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALLED = 128
AGAIN_S = 0.5

whole = threading.Lock()
"""Held for a moment around what must not end half-way."""


class StopAsked(SystemExit):
    """A signal came. A SystemExit, since that alone gets through an event loop's callbacks.

    `code` is that of a process that the signal ended.
    """


@contextmanager
def stop_signals() -> Iterator[None]:
    """Each signal becomes StopAsked, wherever we are. A SIGHUP that `nohup` took away stays away."""
    heard = [each for each in SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, _ask) for number in heard}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def unstoppable() -> None:
    """It was heard: what stops is not to be stopped at it."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in SIGNALS:
        signal.signal(number, _nothing_new)


def _ask(number: int, _frame: FrameType | None) -> None:
    unstoppable()
    signal.signal(signal.SIGALRM, partial(_stop, SIGNALLED + number))
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)
    _stop(SIGNALLED + number)


def _stop(code: int, *_: object) -> None:
    if not whole.locked():
        raise StopAsked(code)


def _nothing_new(_number: int, _frame: FrameType | None) -> None:
    """Once is enough."""
