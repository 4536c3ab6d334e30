"""A server as a child process that cannot outlive us.

On Linux the kernel itself sends the child a signal when the thread that started it ends
(`PR_SET_PDEATHSIG`), so even a `kill -9` of the parent leaves nothing behind. Therefore children are started
from the main thread alone. What a child prints goes to its log file; the end of that file is what we show
when it does not come up.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tollhouse.local.stop import whole

PR_SET_PDEATHSIG = 1
PROBE_INTERVAL_S = 0.02
LOG_TAIL_BYTES = 2_000
LOG_MAX_BYTES = 16_000_000

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StartFailed(Exception):
    """A server did not come up; the message says which, why and where its log is."""


@dataclass
class Child:
    """One process.

    command: what to run. log: the file its output is appended to. farewell: the signal that asks it to end
    cleanly. user: the system user to run it as, when not our own.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    farewell: signal.Signals = signal.SIGTERM
    bereaved: signal.Signals = signal.SIGKILL
    user: str | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id, 0 before the first start."""
        return self.process.pid if self.process else 0

    def start(self) -> None:
        """Start it; says nothing about whether it is ready."""
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output, whole:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(self.environment),
                cwd="/",
                start_new_session=True,
                user=self.user,
                # Only the child itself can ask for its parent-death signal; the hook takes no lock.
                preexec_fn=_tether(os.getpid(), self.bereaved),  # noqa: PLW1509
            )

    def code(self) -> int | None:
        """The exit code, None while it runs."""
        with whole:
            return self.process.poll() if self.process else None

    def stop(self, patience_s: float) -> None:
        """Ask it to end and wait; what does not end in time is killed."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.farewell)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until(self, ready: Callable[[], bool], deadline_s: float) -> None:
        """Ask `ready` until it says yes; StartFailed when the child ends or the deadline passes first."""
        end = time.monotonic() + deadline_s
        while not ready():
            if (code := self.code()) is not None:
                raise StartFailed(f"{self.name} ended with code {code} while starting.\n{self.last_words()}")
            if time.monotonic() > end:
                raise StartFailed(
                    f"{self.name} was not ready within {deadline_s:.0f} s.\n{self.last_words()}"
                )
            time.sleep(PROBE_INTERVAL_S)

    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        if not self.log.exists():
            return f"It left no log at {self.log}."
        tail = self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return f"The end of its log ({self.log}):\n{tail}"


def _tether(parent: int, bereaved: signal.Signals) -> Callable[[], None]:
    """What the child does between fork and exec: bind its life to ours."""

    def bind() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(bereaved))
            if os.getppid() != parent:
                os._exit(1)

    return bind
