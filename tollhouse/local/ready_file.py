"""ready.json: where everything of a running stack is, for the commands that speak to it.

It follows what runs. A disk that takes no write is no reason to end a stack: the file stays as it was, that
is said once, and it is tried again until it is taken.
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tollhouse.local.data import LOCK, is_held
from tollhouse.local.files import write_whole

READY_FILE = "ready.json"
RETRY_S = 1.0


class NoStack(Exception):
    """No stack runs on the data folder; the message says so."""


def running(data: Path) -> dict[str, Any]:
    """The ready line of the stack that runs on this folder. Raises NoStack, also where one was killed."""
    path = data / READY_FILE
    if not path.exists() or not is_held(data / LOCK):
        raise NoStack(
            f"no stack is running in {data}: start one there (tollhouse up),"
            " or name its folder with --data DIR"
        )
    ready: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return ready


class ReadyFile:
    """One stack's ready file. `complain` is told what a person should know; `write` replaces a file whole."""

    def __init__(
        self,
        path: Path,
        complain: Callable[[str], None],
        write: Callable[[Path, str], None] = write_whole,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._complain = complain
        self._write = write
        self._clock = clock
        self._kept = ""
        self._failed_at: float | None = None

    def keep(self, ready: Mapping[str, Any]) -> None:
        """Let the file say this; when that fails it is tried again at a later call, once a second at most."""
        text = json.dumps(ready)
        if text == self._kept or not self._is_due():
            return
        try:
            self._write(self._path, text)
        except OSError as error:
            if self._failed_at is None:
                self._complain(f"{self._path} cannot be written ({error.strerror}): it is tried again")
            self._failed_at = self._clock()
        else:
            self._kept = text
            self._failed_at = None

    def remove(self) -> None:
        """Take it away. One that cannot be removed is known as stale by the lock beside it."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _is_due(self) -> bool:
        return self._failed_at is None or self._clock() - self._failed_at >= RETRY_S
