"""Whatever OPA does, every call is answered or refused within its deadline and 50 ms, by an exact clock."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.opa import OpaUnavailable
from gateway.edge.policy import OpaPolicy
from gateway.edge.prices import OpaPrices
from gateway.errors import Refusal, Unavailable
from gateway.pipeline import run
from gateway.ports import Gate
from tests.fixtures import virtual_time
from tests.unit.gateway.test_pipeline import CALL, PRICE, SCOUT, World

pytestmark = pytest.mark.requirement("GW-19")

TIMEOUT_S = 1.0
GRACE_S = 0.05
NEVER_S = 1e6
delays = st.lists(st.sampled_from([0.0, 0.01, 0.4, 0.6, 0.99, 1.01, 3.0, NEVER_S]), min_size=1, max_size=8)
HOLD = {"hold": {"ceiling_cents": 500, "budgets": [], "price": PRICE}}


def decision(obligations: dict[str, Any]) -> dict[str, Any]:
    return {
        "allow": True,
        "reasons": [],
        "obligations": obligations,
        "policy": {"version": "1", "revision": "r"},
    }


def price_document(*, priced: bool) -> dict[str, Any]:
    tools = {"bank.send_money": PRICE} if priced else {}
    return {
        "revision": "r",
        "currency": "USD",
        "roles": {"executor": {"tools": tools, "patterns": []}},
    }


@dataclass
class SlowOpa:
    """Answers after one delay after the other, the last of them again and again; at times not at all.

    `at_hand`: there is a connection, so that nobody waits to ask.
    """

    delays_s: list[float]
    fails: bool = False
    obligations: dict[str, Any] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=lambda: [price_document(priced=False)])
    asked: int = 0
    at_hand: bool = False
    telling: set[asyncio.Task[None]] = field(default_factory=set)

    async def _wait(self) -> None:
        self.asked += 1
        await virtual_time.passes(self.delays_s.pop(0) if len(self.delays_s) > 1 else self.delays_s[0])
        if self.fails:
            raise OpaUnavailable("no")

    def ask_at_once(self, inputs: list[bytes], timeout_s: float, heard: Callable[[Any], None]) -> bool:
        if self.at_hand:
            self.telling.add(asyncio.create_task(self._tell(inputs, timeout_s, heard)))
        return self.at_hand

    async def _tell(self, inputs: list[bytes], timeout_s: float, heard: Callable[[Any], None]) -> None:
        try:
            answers = await self.ask(inputs, timeout_s)
        except OpaUnavailable as error:
            heard(error)
        else:
            heard(answers)

    async def ask(self, inputs: list[bytes], timeout_s: float) -> list[Any]:
        await self._wait()
        return [decision(self.obligations) for _ in inputs]

    async def prices(self, timeout_s: float) -> Any:
        await self._wait()
        return self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]


def policy(opa: SlowOpa) -> OpaPolicy:
    return OpaPolicy(opa, timeout_s=TIMEOUT_S, batch_max=3, queue_max=1_000)


@given(delays, st.lists(st.sampled_from([0.0, 0.2, 0.7, 2.0]), max_size=12), st.booleans(), st.booleans())
def test_every_question_is_answered_or_refused_in_time(
    delays_s: list[float], pauses_s: list[float], fails: bool, at_hand: bool
) -> None:
    async def main() -> None:
        asker = policy(SlowOpa(delays_s, fails, at_hand=at_hand))
        loop = asyncio.get_running_loop()

        async def ask(number: int) -> float:
            began_s = loop.time()
            with contextlib.suppress(Unavailable):
                await asker.decide({"n": number})
            return loop.time() - began_s

        asking = [asyncio.create_task(ask(0))]
        for number, pause_s in enumerate(pauses_s):
            await asyncio.sleep(pause_s)
            asking.append(asyncio.create_task(ask(number)))
        assert max(await asyncio.gather(*asking)) <= TIMEOUT_S + GRACE_S
        await asker.aclose()

    virtual_time.run(main())


@dataclass
class SlowWorld(World):
    """The path of a request with real asking of a slow OPA, timed by the loop's own clock."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def on(self, opa: SlowOpa) -> Gate:
        gate = self.gate()
        settings = gate.settings.model_copy(update={"decision_timeout_ms": int(TIMEOUT_S * 1000)})
        return replace(gate, settings=settings, prices=OpaPrices(opa, TIMEOUT_S), policy=policy(opa))


async def taken_s(gate: Gate, world: SlowWorld) -> float:
    """The seconds that one call takes, refused or not."""
    began_s = world.monotonic()
    try:
        await run(gate, SCOUT, CALL, world.forward)
    except Refusal:
        assert "forward" not in world.events
    return world.monotonic() - began_s


@given(delays, st.booleans(), st.booleans(), st.booleans())
def test_every_call_is_answered_or_refused_in_time_however_often_opa_is_asked(
    delays_s: list[float], fails: bool, knows_prices: bool, at_hand: bool
) -> None:
    async def main() -> None:
        world = SlowWorld()
        opa = SlowOpa([0.0], obligations=HOLD, at_hand=at_hand)
        opa.documents = [price_document(priced=False), price_document(priced=True)]
        gate = world.on(opa)
        if knows_prices:
            await gate.prices.reread()
        opa.delays_s, opa.fails = delays_s, fails
        assert await taken_s(gate, world) <= TIMEOUT_S + GRACE_S

    virtual_time.run(main())


@pytest.mark.parametrize("at_hand", [True, False])
def test_judging_twice_takes_no_longer_than_judging_once_may(at_hand: bool) -> None:
    async def main() -> None:
        world = SlowWorld()
        opa = SlowOpa([0.0], obligations=HOLD, at_hand=at_hand)
        gate = world.on(opa)
        await gate.prices.reread()
        opa.delays_s = [0.9]
        assert await taken_s(gate, world) == pytest.approx(TIMEOUT_S)
        assert orjson.loads(world.entries[0].record)["reasons"][0]["code"] == "policy_unavailable"
        assert opa.asked == 3

    virtual_time.run(main())


def test_reading_the_prices_has_one_deadline_for_all_who_wait() -> None:
    async def main() -> None:
        opa = SlowOpa([NEVER_S])
        prices = OpaPrices(opa, TIMEOUT_S)
        loop = asyncio.get_running_loop()
        for _ in range(2):
            began_s = loop.time()
            answers = await asyncio.gather(prices.table(), prices.reread(), return_exceptions=True)
            assert all(isinstance(answer, Unavailable) for answer in answers)
            assert loop.time() - began_s <= TIMEOUT_S + GRACE_S
        assert opa.asked == 2

    virtual_time.run(main())
