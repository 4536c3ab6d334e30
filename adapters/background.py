"""Work that goes on behind the requests for as long as a service lives, whatever breaks in it.

A task that ended would take its duty with it and nobody would notice: no hold would expire any more, no
record be shipped. So what breaks is said in the log, and the work is begun again after a pause.
"""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.telemetry import logger

log = logger("background")


async def unending(name: str, work: Callable[[], Awaitable[object]], pause_s: float) -> None:
    """Do `work` until cancelled: again `pause_s` after it ended, and after it broke."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("background_work_broke", work=name)
        await asyncio.sleep(pause_s)


async def finished(name: str, work: Callable[[], Awaitable[object]], pause_s: float) -> None:
    """Do `work` once: again `pause_s` after it broke, until it is done."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("background_work_broke", work=name)
        else:
            return
        await asyncio.sleep(pause_s)


async def rest(stopping: asyncio.Event, seconds: float) -> None:
    """Let so much time pass, or less where `stopping` is set meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
