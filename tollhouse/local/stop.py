"""What asks a stack to stop: Ctrl-C, SIGTERM, and the end of the terminal that it runs in."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALLED = 128


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
        for number, handler in before.items():
            signal.signal(number, handler)


def unstoppable() -> None:
    """From here on no signal is heard: what stops is not to be stopped at it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _ask(number: int, _frame: FrameType | None) -> None:
    unstoppable()
    raise StopAsked(SIGNALLED + number)
