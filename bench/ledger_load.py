"""Load on a ledger: a closed loop of clients that wait for each answer, or an open loop that does not."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

WAITING_MAX: Final = 256
"""Spends under way at once in the open loop; a way that falls behind is told so, and not buried."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What one run showed: spends a second, and how long one took from its hold to its capture."""

    per_s: float
    p50_ms: float
    p99_ms: float
    left_out: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "per_s": self.per_s,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "left_out": self.left_out,
        }


OneSpend = Callable[[int], Awaitable[None]]


async def closed(spend: OneSpend, clients: int, seconds: float) -> Measure:
    """`clients` spend one after the other for `seconds`; `spend` is given the client's number."""
    began = time.perf_counter()
    times_s: list[float] = []

    async def live(number: int) -> None:
        while time.perf_counter() - began < seconds:
            start = time.perf_counter()
            await spend(number)
            times_s.append(time.perf_counter() - start)

    await asyncio.gather(*(live(number) for number in range(clients)))
    return _measure(times_s, time.perf_counter() - began)


async def open_loop(spend: OneSpend, per_s: int, seconds: float) -> Measure:
    """A spend every 1/`per_s`, whatever became of those before; timed from when it was due."""
    began = time.perf_counter()
    times_s: list[float] = []
    under_way: set[asyncio.Task[None]] = set()
    left_out = 0

    async def one(number: int, due_s: float) -> None:
        await spend(number)
        times_s.append(time.perf_counter() - due_s)

    for number in range(int(per_s * seconds)):
        due_s = began + number / per_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        if len(under_way) >= WAITING_MAX:
            left_out += 1
            continue
        task = asyncio.create_task(one(number, due_s))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    return _measure(times_s, time.perf_counter() - began, left_out)


def _measure(times_s: list[float], elapsed_s: float, left_out: int = 0) -> Measure:
    cuts = statistics.quantiles(times_s, n=100)
    return Measure(len(times_s) / elapsed_s, cuts[49] * 1_000, cuts[98] * 1_000, left_out)
