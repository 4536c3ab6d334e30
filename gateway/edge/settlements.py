"""Telling the treasury again what it could not be told: settlements that stand open in the journal.

The journal opens a settlement when a paid call is decided (`unknown`, should nothing else ever be known),
replaces it when the call is over, and closes it when the treasury has heard. So whatever happens between, to
the treasury or to this gateway, one of them is found here: at the next round, or after a restart.
"""

import asyncio
import sqlite3
from typing import Final, Protocol

import structlog

from gateway.core.settle import Settlement
from gateway.errors import Refusal, Unavailable

ROUND_MAX: Final = 256
FAILED_MAX: Final = 3
BACKOFF_MAX: Final = 16

log = structlog.get_logger(__name__)


class Open(Protocol):
    """The journal's open settlements; raises `sqlite3.Error`."""

    async def unsettled(self, limit: int, after: str) -> list[Settlement]: ...
    async def settled(self, hold_id: str) -> None: ...


class Teller(Protocol):
    """Tells the treasury of one settlement; raises `Unavailable`, or another `Refusal` as its last word."""

    async def settle(self, due: Settlement) -> str | None: ...


class Settlements:
    """Goes through the open settlements every `retry_s`, more rarely while the treasury is away."""

    def __init__(self, journal: Open, treasury: Teller, retry_s: float) -> None:
        self._journal = journal
        self._treasury = treasury
        self._retry_s = retry_s
        self._last = ""

    async def run(self) -> None:
        """Until cancelled."""
        wait_s = self._retry_s
        while True:
            heard = await self.round()
            wait_s = self._retry_s if heard else min(wait_s * 2, self._retry_s * BACKOFF_MAX)
            await asyncio.sleep(wait_s)

    async def round(self) -> bool:
        """Tell what is open, in turn; False if the treasury heard nothing, or the journal is away.

        A round goes on behind the last that was tried, and begins anew at the end of all: so each has its
        turn, however many always fail.
        """
        try:
            told = failed = 0
            for due in await self._next():
                if failed == FAILED_MAX:
                    break
                self._last = due.hold_id
                if await self._told(due):
                    told += 1
                else:
                    failed += 1
        except sqlite3.Error as error:
            log.warning("settlements_wait", why=str(error))
            return False
        return told > 0 or failed == 0

    async def _next(self) -> list[Settlement]:
        behind = await self._journal.unsettled(ROUND_MAX, self._last)
        if len(behind) == ROUND_MAX:
            return behind
        return behind + [
            due for due in await self._journal.unsettled(ROUND_MAX, "") if due.hold_id <= self._last
        ]

    async def _told(self, due: Settlement) -> bool:
        try:
            await self._tell(due)
        except Unavailable as error:
            log.warning("settlement_waits", hold_id=due.hold_id, act=due.act, why=str(error))
            return False
        await self._journal.settled(due.hold_id)
        return True

    async def _tell(self, due: Settlement) -> None:
        try:
            entry = await self._treasury.settle(due)
        except Unavailable:
            raise
        except Refusal as refusal:
            log.warning("settled_in_vain", hold_id=due.hold_id, act=due.act, code=refusal.code)
        else:
            log.info("settled_late", hold_id=due.hold_id, act=due.act, journal_entry_id=entry)
