"""A crowd that spends at a steady rate whatever is away, and remembers every word of the treasury's."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from schemas.ids import new_id
from tests.faults.desk import HOT, Desk
from tests.fixtures.treasury import Spend

UNDER_WAY_MAX: Final = 400
WORKFLOWS: Final = 200
AGAIN_EVERY: Final = 3
GOES_ON_WITHIN_S: Final = 60.0


@dataclass(frozen=True)
class Paid:
    """An execution that the treasury said it had done."""

    intent_id: str
    amount_cents: int


class Crowd:
    """`per_s` spends a second while it is entered; when it is left, each has come to its end.

    paid: acknowledged executions by id. ends: what each hold must have become, by intent. asked: requests
    that were answered, by what they were for.
    """

    def __init__(self, desk: Desk, per_s: float) -> None:
        self.desk = desk
        self.paid: dict[str, Paid] = {}
        self.ends: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.left_out = 0
        self._period_s = 1 / per_s
        self._workflows = [new_id() for _ in range(WORKFLOWS)]
        self._lives: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._resting = False

    async def __aenter__(self) -> Self:
        self._coming = asyncio.create_task(self._come())
        return self

    async def __aexit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._coming.cancel()
        if failed is not None:
            for life in self._lives:
                life.cancel()
        await asyncio.gather(self._coming, return_exceptions=True)
        await asyncio.gather(*self._lives, return_exceptions=True)
        await self.desk.aclose()
        if failed is None:
            self.complain()

    def __str__(self) -> str:
        """The counts, for the report of a drill."""
        asked = ", ".join(f"{kind} {times}" for kind, times in sorted(self.asked.items()))
        return (
            f"{len(self.ends)} spends ({asked}), {len(self.paid)} executions acknowledged,"
            f" {self.desk.refused} times no answer or 503, {self.left_out} left out"
        )

    def complain(self) -> None:
        """Raise the first failure of a spend, if there was one."""
        if self._failures:
            raise self._failures[0]

    async def goes_on(self, ends: int) -> None:
        """Wait until so many spends more have come to their end."""
        wanted = len(self.ends) + ends
        async with asyncio.timeout(GOES_ON_WITHIN_S):
            while len(self.ends) < wanted:
                self.complain()
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Nobody new comes and all who are there come to their end, for as long as the block lasts."""
        self._resting = True
        try:
            async with asyncio.timeout(GOES_ON_WITHIN_S):
                while self._lives:
                    self.complain()
                    await asyncio.sleep(0.01)
            yield
        finally:
            self._resting = False

    async def is_refused(self, times: int) -> None:
        """Wait until so many requests more have been refused or left without an answer."""
        wanted = self.desk.refused + times
        async with asyncio.timeout(GOES_ON_WITHIN_S):
            while self.desk.refused < wanted:
                self.complain()
                await asyncio.sleep(0.01)

    async def _come(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s += self._period_s
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if self._resting:
                continue
            if len(self._lives) >= UNDER_WAY_MAX:
                self.left_out += 1
                continue
            life = asyncio.create_task(self._live(len(self.ends) + len(self._lives)))
            self._lives.add(life)
            life.add_done_callback(self._ended)

    def _ended(self, life: asyncio.Task[None]) -> None:
        self._lives.discard(life)
        if not life.cancelled() and (failure := life.exception()):
            self._failures.append(failure)

    async def _live(self, number: int) -> None:
        """One spend from its hold to its end, in one of six ways."""
        amount_cents = random.randrange(2, 1_000)
        spend = Spend(amount_cents, workflow_id=self._workflows[number % WORKFLOWS])
        way = number % 6
        unsettled = "unknown" if way < 3 else "release"
        held = await self._do("hold", *self.desk.spend(spend, unsettled=unsettled, budgets=[HOT]))
        assert held["status"] == "approved", held
        match way:
            case 0 | 1:
                part_cents = amount_cents if way == 0 else amount_cents // 2
                await self._pay("capture", spend, part_cents, *self.desk.capture(held["hold_id"], part_cents))
            case 2:
                await self._do("void", *self.desk.void_hold(held["hold_id"]))
            case 3:
                await self._do("void", *self.desk.void(spend))
            case _:
                first_cents = amount_cents if way == 4 else amount_cents // 2
                for part_cents in filter(None, (first_cents, amount_cents - first_cents)):
                    await self._pay("execute", spend, part_cents, *self.desk.execute(spend, part_cents))
        self.ends[spend.id] = "voided" if way in (2, 3) else "captured"

    async def _pay(self, kind: str, spend: Spend, cents: int, path: str, body: dict[str, Any]) -> None:
        answer = await self._do(kind, path, body)
        assert answer["id"] not in self.paid, "two requests were told of one execution"
        assert answer["amount_cents"] == cents, answer
        self.paid[answer["id"]] = Paid(spend.id, cents)

    async def _do(self, kind: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer; one in a few is asked for again, and has to be the same."""
        key = new_id()
        answer = await self.desk.ask(path, body, key)
        assert "code" not in answer, (kind, answer)
        self.asked[kind] += 1
        if random.randrange(AGAIN_EVERY) == 0:
            assert await self.desk.ask(path, body, key) == answer, kind
            self.asked["again"] += 1
        return answer
