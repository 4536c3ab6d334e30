"""Showing that something goes on: a spinner on a terminal, a line now and then anywhere else."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console

from tollhouse.local.outlet import outlet

LINE_EVERY_S = 5.0
WIDTH_MAX = 100


@contextlib.contextmanager
def shown() -> Iterator[Callable[[str], None]]:
    """A function to tell what goes on, shown on stderr with the seconds that passed."""
    console = Console(file=outlet(sys.stderr), highlight=False)
    started = time.monotonic()
    if not console.is_terminal:
        yield _Lines(console, started).tell
        return
    with console.status("") as status:
        yield lambda text: status.update(_timed(text, started))


class _Lines:
    """The first thing told at once, then one line every few seconds."""

    def __init__(self, console: Console, started: float) -> None:
        self._console = console
        self._started = started
        self._last: float | None = None

    def tell(self, text: str) -> None:
        now = time.monotonic()
        if self._last is None or now - self._last >= LINE_EVERY_S:
            self._last = now
            self._console.print(_timed(text, self._started), markup=False, soft_wrap=True)


def _timed(text: str, started: float) -> str:
    return f"{text[:WIDTH_MAX]} ({time.monotonic() - started:.0f} s)"
