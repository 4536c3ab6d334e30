"""Batches: what queued while the last database transaction ran goes into the next one together.

Alone a command waits for nobody; under load one commit serves many. Commands about the same intent, hold,
key or warrant never share a batch and keep their order. A batch that the database refuses is halved until
the bad command stands alone with its error, and hurts nobody else.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from adapters.postgres import DatabaseUnavailable
from treasury.core.command import Answer, Command
from treasury.edge.knowing import RowsMoved
from treasury.edge.ledger import Postponed, Reply
from treasury.errors import Refused

RACES_MAX: Final = 4
_RACES: Final = (asyncpg.UniqueViolationError, RowsMoved)

CarryOut = Callable[[Sequence[Command]], Awaitable[list[Reply]]]
Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """`commands_max` in one batch, `queue_max` waiting, `lanes_max` batches under way at once."""

    commands_max: int
    queue_max: int
    lanes_max: int
    in_flight_wait_ms: int


@dataclass(eq=False, slots=True)
class _Waiting:
    """A command with who waits for its reply; the one who waits may be gone."""

    command: Command
    reply: asyncio.Future[Answer | None]
    names: set[Name]
    is_done: bool = False

    def answer(self, reply: Answer | Refused | None) -> None:
        self.is_done = True
        if isinstance(reply, Refused):
            self.fail(reply)
        elif not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, fault: Exception) -> None:
        self.is_done = True
        if not self.reply.done():
            self.reply.set_exception(fault)


class Batches:
    """Carries commands out in batches, at most `lanes_max` at a time."""

    def __init__(self, carry_out: CarryOut, limits: Limits) -> None:
        self._carry_out = carry_out
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._under_way: set[Name] = set()
        self._by_key: dict[tuple[str, str], _Waiting] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._running = 0

    async def do(self, command: Command) -> Answer | None:
        """Carry out a command in the next batch; its answer, or None where nobody asked.

        Raises `Refused` for the key's sake, `NotAuthorized`, `DatabaseUnavailable`.
        """
        first = await self._first_with_key(command)
        if first is not None:
            return first
        if len(self._queue) >= self._limits.queue_max:
            raise DatabaseUnavailable(f"{self._limits.queue_max} commands wait already")
        waiting = _Waiting(command, asyncio.get_running_loop().create_future(), command.alone())
        if command.asked is not None:
            self._by_key.setdefault((command.tenant, command.asked.key), waiting)
        self._queue.append(waiting)
        if self._running < self._limits.lanes_max:
            self._open_lane()
        return await waiting.reply

    async def close(self) -> None:
        """Wait until everything that was asked for is done."""
        while self._lanes:
            await asyncio.wait(self._lanes)

    async def _first_with_key(self, command: Command) -> Answer | None:
        """The answer to the same request where it is under way here; None where there is none to share."""
        asked = command.asked
        first = self._by_key.get((command.tenant, asked.key)) if asked else None
        if asked is None or first is None:
            return None
        done, _ = await asyncio.wait({first.reply}, timeout=self._limits.in_flight_wait_ms / 1000)
        if not done:
            raise Refused("idempotency_in_flight", "the first request with this key is under way")
        same = first.command.asked is not None and first.command.asked.sha256() == asked.sha256()
        if not same or first.reply.cancelled() or first.reply.exception() is not None:
            return None
        return first.reply.result()

    def _open_lane(self) -> None:
        lane = asyncio.create_task(self._run())
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)
        self._running += 1

    async def _run(self) -> None:
        """Carry out batches until nothing waits; what comes after that opens a lane again."""
        while taken := self._take():
            try:
                await self._settle(taken)
            finally:
                for waiting in taken:
                    self._under_way -= waiting.names
                    self._forget(waiting)
        self._running -= 1

    def _take(self) -> list[_Waiting]:
        """The commands of the next batch, oldest first; the others stay in their order."""
        taken: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        names = set(self._under_way)
        while self._queue and len(taken) < self._limits.commands_max:
            waiting = self._queue.popleft()
            (left if names & waiting.names else taken).append(waiting)
            names |= waiting.names
        self._queue.extendleft(reversed(left))
        for waiting in taken:
            self._under_way |= waiting.names
        return taken

    def _forget(self, waiting: _Waiting) -> None:
        asked = waiting.command.asked
        if asked is not None and waiting.is_done:
            key = waiting.command.tenant, asked.key
            if self._by_key.get(key) is waiting:
                del self._by_key[key]

    async def _settle(self, batch: list[_Waiting]) -> None:
        """Carry out a batch and hand out its replies; halve one that is refused."""
        try:
            replies = await self._carried_out(batch)
        except DatabaseUnavailable as gone:
            for waiting in batch:
                waiting.fail(gone)
        except Exception as fault:  # noqa: BLE001 (whatever it is, it is told to who asked)
            if len(batch) == 1:
                batch[0].fail(_explained(fault))
                return
            half = len(batch) // 2
            await self._settle(batch[:half])
            await self._settle(batch[half:])
        else:
            for waiting, reply in zip(batch, replies, strict=True):
                if isinstance(reply, Postponed):
                    await self._settle([waiting])
                else:
                    waiting.answer(reply)

    async def _carried_out(self, batch: list[_Waiting]) -> list[Reply]:
        """The replies; a command that lost a race alone looks again, at what the other one left."""
        commands = [waiting.command for waiting in batch]
        for _ in range(RACES_MAX if len(batch) == 1 else 1):
            try:
                return await self._carry_out(commands)
            except _RACES as lost:
                race = lost
        raise race


def _explained(fault: Exception) -> Exception:
    if isinstance(fault, asyncpg.LockNotAvailableError):
        return Refused("idempotency_in_flight", "another request holds what this one needs")
    return fault
