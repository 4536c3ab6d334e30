"""Keeping the servers alive: what dies is started again, on the same port, and told.

The kernel's SIGCHLD wakes us. A server that died is started at once; one that keeps dying right after its
start waits a little longer each time, to a limit. That its new process runs is told (`restarted`) at the
latest 1.5 s after its death; that it works again (`answers`) when it does. What cannot be started, since the
disk is full or the machine has no process left, is tried again after a pause: a lack that passes ends nothing
else.
"""

import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Literal, Protocol

from tollhouse.local.child import Child, StartFailed

TOLD_WITHIN_S = 1.5
SETTLED_AFTER_S = 5.0
PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 1.0
IDLE_S = 1.0
BUSY_S = 0.02


class Server(Protocol):
    """What can be started and asked whether it is ready."""

    def prepare(self) -> Child:
        """A fresh child, not started."""

    def is_ready(self) -> bool:
        """Whether it answers; what cannot be asked does not."""


class Witness(Protocol):
    """Who is told what becomes of the members."""

    def restarted(self, name: str, pid: int) -> None:
        """It died, and was started anew; not yet that it can do its work."""

    def answers(self, name: str, pid: int) -> None:
        """What was started anew is ready."""

    def exited(self, name: str, code: int) -> None:
        """It died, and is left so."""

    def cannot_start(self, name: str, why: str) -> None:
        """It died, and starting it failed; it is tried again."""


@dataclass
class Member:
    """One server of the stack and what we know of its life."""

    name: str
    server: Server
    patience_s: float
    child: Child | None = None
    started_at: float = 0.0
    died_at: float = 0.0
    due_at: float = 0.0
    quick_deaths: int = 0
    cannot_start: bool = False
    state: Literal["new", "up", "waiting", "starting", "late", "gone"] = "new"
    clock: Callable[[], float] = time.monotonic

    @property
    def pid(self) -> int:
        """Its process id, 0 before its first start."""
        return self.child.pid if self.child else 0

    def start(self) -> None:
        """Start it; what it becomes is asked later."""
        self.child = self.server.prepare()
        self.child.start()
        self.started_at = self.clock()

    def wait_ready(self, deadline_s: float) -> None:
        """Ask until it answers; StartFailed."""
        if self.child is not None:
            self.child.wait_until(self.server.is_ready, deadline_s)
        self.state = "up"

    def stop(self) -> None:
        """End it cleanly."""
        if self.child is not None:
            self.child.stop(self.patience_s)


class Supervisor:
    """Watches members. `meanwhile` is called after every look at all of them."""

    def __init__(
        self,
        members: Sequence[Member],
        witness: Witness,
        *,
        restart: bool,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._members = members
        self._witness = witness
        self._restart = restart
        self._meanwhile = meanwhile

    def watch(self, asked_to_stop: Callable[[], bool]) -> None:
        """Until that says so. It is asked after every signal."""
        with _Alarm() as alarm:
            while not asked_to_stop():
                for member in self._members:
                    self.look(member)
                self._meanwhile()
                busy = any(member.state in {"waiting", "starting"} for member in self._members)
                alarm.wait(BUSY_S if busy else IDLE_S)

    def look(self, member: Member) -> None:
        """One step of a member's life: up → (dead) → waiting → starting → (late) → up, or gone."""
        now = member.clock()
        if (
            member.state in {"up", "starting", "late"}
            and member.child
            and (code := member.child.code()) is not None
        ):
            self._bury(member, code, now)
        if member.state == "waiting" and now >= member.due_at:
            self._start(member, now)
        elif member.state in {"starting", "late"}:
            self._follow(member, now)

    def _start(self, member: Member, now: float) -> None:
        try:
            member.start()
        except (OSError, StartFailed, subprocess.SubprocessError) as error:
            member.due_at = now + PAUSE_MAX_S
            if not member.cannot_start:
                self._witness.cannot_start(member.name, str(error))
            member.cannot_start = True
        else:
            member.state = "starting"
            member.cannot_start = False

    def _follow(self, member: Member, now: float) -> None:
        ready = member.server.is_ready()
        if member.state == "starting" and (ready or now - member.died_at > TOLD_WITHIN_S):
            member.state = "late"
            self._witness.restarted(member.name, member.pid)
        if ready:
            member.state = "up"
            self._witness.answers(member.name, member.pid)

    def _bury(self, member: Member, code: int, now: float) -> None:
        if not self._restart:
            member.state = "gone"
            self._witness.exited(member.name, code)
            return
        quick = now - member.started_at < SETTLED_AFTER_S
        member.quick_deaths = member.quick_deaths + 1 if quick else 0
        member.died_at = now
        member.due_at = now + pause_s(member.quick_deaths)
        member.state = "waiting"


def pause_s(quick_deaths: int) -> float:
    """No pause for the first death; then twice as long each time."""
    if quick_deaths <= 1:
        return 0.0
    return min(PAUSE_FIRST_S * 2.0 ** min(quick_deaths, 16), PAUSE_MAX_S)


class _Alarm:
    """Sleeps until a signal comes or the time is over."""

    def __enter__(self) -> "_Alarm":
        self._hears, self._rings = socket.socketpair()
        self._hears.setblocking(False)
        self._rings.setblocking(False)
        self._before = signal.signal(signal.SIGCHLD, _note)
        signal.set_wakeup_fd(self._rings.fileno(), warn_on_full_buffer=False)
        return self

    def wait(self, at_most_s: float) -> None:
        ready, _, _ = select.select([self._hears], [], [], at_most_s)
        if ready:
            self._hears.recv(4096)

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._before)
        self._hears.close()
        self._rings.close()


def _note(_number: int, _frame: FrameType | None) -> None:
    """The wake-up itself is all that is wanted."""
