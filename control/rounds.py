"""Rounds: the same work again and again, a pause between, until the service ends.

What the work needs may be away for a while; the next round tries again. Whatever else it dies of ends the
process, like a reader's death.
"""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.background import rest
from adapters.nats import BusUnavailable
from adapters.opa import OpaUnavailable
from adapters.postgres import DatabaseUnavailable
from adapters.telemetry import logger

_log = logger("rounds")


class Rounds:
    """`start` and `stop` it with the service."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        self._name = name
        self._work = work
        self._pause_s = pause_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, died: Callable[[], None]) -> None:
        """Begin; `died` is called when it ends untold."""
        self._task = asyncio.create_task(self._run(), name=self._name)
        self._task.add_done_callback(lambda _: None if self._stopping.is_set() else died())

    async def stop(self) -> None:
        """Finish the round under way. Raises what it died of, if it did."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                await self._round()
        except Exception:
            _log.exception("rounds_died", work=self._name)
            raise

    async def _round(self) -> None:
        try:
            await self._work()
        except (BusUnavailable, DatabaseUnavailable, OpaUnavailable) as away:
            _log.warning("rounds_wait", work=self._name, why=str(away))
        await rest(self._stopping, self._pause_s)
