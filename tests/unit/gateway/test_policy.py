"""Flush-on-return batches, over a batch that the test answers."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from adapters.opa import OpaUnavailable
from gateway.edge.policy import OpaPolicy
from gateway.errors import Unavailable
from tests.fixtures.deadlines import HUNG_S
from tests.fixtures.servers import eventually


def decision(allow: bool = True) -> dict[str, Any]:
    reasons = [] if allow else [{"code": "tool_not_allowed", "message": ""}]
    return {
        "allow": allow,
        "reasons": reasons,
        "obligations": {},
        "policy": {"version": "1", "revision": "r"},
    }


class Batch:
    """Answers one question at a time, when the test says so."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.under_way = 0

    def ask_at_once(self, inputs: list[bytes], timeout_s: float, heard: Any) -> bool:
        return False

    async def ask(self, inputs: list[bytes], timeout_s: float) -> list[Any]:
        self.under_way += 1
        assert self.under_way == 1
        self.asked.append([orjson.loads(one)["n"] for one in inputs])
        try:
            answer = await self.answers.get()
        finally:
            self.under_way -= 1
        if isinstance(answer, BaseException):
            raise answer
        return [decision(n % 2 == 0) for n in self.asked[-1]]


def policy(batch: Batch, **more: Any) -> OpaPolicy:
    return OpaPolicy(batch, **({"timeout_s": 5.0, "batch_max": 3, "queue_max": 10} | more))


def ask(asker: OpaPolicy, *numbers: int) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(asker.decide({"n": n})) for n in numbers]


@pytest.mark.requirement("GW-01")
async def test_what_queues_while_opa_is_busy_goes_together_and_each_gets_its_own_answer() -> None:
    batch = Batch()
    asker = policy(batch)
    first = ask(asker, 0)
    await eventually(lambda: batch.asked == [[0]])
    rest = ask(asker, 1, 2, 3, 4)
    for _ in range(3):
        batch.answers.put_nowait("go")
    verdicts = await asyncio.gather(*first, *rest)
    assert batch.asked == [[0], [1, 2, 3], [4]]
    assert [verdict.allow for verdict in verdicts] == [True, False, True, False, True]


@pytest.mark.requirement("GW-19")
async def test_a_failed_question_fails_every_caller_in_it_and_nobody_else() -> None:
    batch = Batch()
    asker = policy(batch)
    callers = ask(asker, 0, 2)
    await eventually(lambda: batch.asked == [[0, 2]])
    later = ask(asker, 4)
    await asyncio.sleep(0)
    batch.answers.put_nowait(OpaUnavailable("garbage"))
    for caller in callers:
        with pytest.raises(Unavailable) as refused:
            await caller
        assert refused.value.code == "policy_unavailable"
    batch.answers.put_nowait("go")
    assert (await later[0]).allow


@pytest.mark.requirement("GW-19")
async def test_a_bug_in_the_asking_leaves_nobody_waiting() -> None:
    batch = Batch()
    asker = policy(batch)
    callers = ask(asker, 0)
    await eventually(lambda: batch.asked == [[0]])
    asking = asker._asking
    assert asking is not None
    batch.answers.put_nowait(RuntimeError("bug"))
    with pytest.raises(Unavailable):
        await callers[0]
    with pytest.raises(RuntimeError):
        await asking


@pytest.mark.requirement("GW-19")
async def test_each_caller_has_its_own_deadline_however_long_opa_hangs() -> None:
    batch = Batch()
    asker = policy(batch, timeout_s=0.05)
    loop = asyncio.get_running_loop()
    for n in (0, 2):
        began_s = loop.time()
        with pytest.raises(Unavailable):
            await asker.decide({"n": n})
        assert loop.time() - began_s < HUNG_S
    assert batch.asked == [[0]]
    batch.answers.put_nowait("go")
    batch.answers.put_nowait("go")
    assert (await asker.decide({"n": 4})).allow
    assert batch.asked[-1] == [4]
    await asker.aclose()


@pytest.mark.requirement("GW-13")
async def test_only_so_many_wait() -> None:
    batch = Batch()
    asker = policy(batch, queue_max=2)
    callers = ask(asker, 0, 2)
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await asker.decide({"n": 4})
    assert refused.value.code == "overloaded"
    await asker.aclose()
    for caller in callers:
        with pytest.raises(Unavailable):
            await caller


class AtOnce(Batch):
    """Asked without waiting, unless there is `no_way`; answers when the test tells it to."""

    def __init__(self) -> None:
        super().__init__()
        self.no_way = False
        self.heard: list[Callable[[Any], None]] = []

    def ask_at_once(self, inputs: list[bytes], timeout_s: float, heard: Callable[[Any], None]) -> bool:
        if self.no_way:
            return False
        assert not self.heard
        self.asked.append([orjson.loads(one)["n"] for one in inputs])
        self.heard.append(heard)
        return True

    def tell(self, answer: Any = None) -> None:
        """Answer what is asked, rightly or with this."""
        heard = self.heard.pop()
        heard(answer or [decision(n % 2 == 0) for n in self.asked[-1]])


@pytest.mark.requirement("GW-01")
async def test_the_next_question_is_asked_within_the_answer_to_the_one_before() -> None:
    batch = AtOnce()
    asker = policy(batch)
    callers = ask(asker, 0)
    await eventually(lambda: batch.asked == [[0]])
    callers += ask(asker, 1, 2, 3, 4)
    await asyncio.sleep(0)
    for asked in ([1, 2, 3], [4]):
        batch.tell()
        assert batch.asked[-1] == asked
    batch.tell()
    verdicts = await asyncio.gather(*callers)
    assert [verdict.allow for verdict in verdicts] == [True, False, True, False, True]
    callers = ask(asker, 6)
    await eventually(lambda: batch.asked[-1] == [6])
    batch.tell()
    assert (await callers[0]).allow


@pytest.mark.requirement("GW-19")
async def test_a_failed_question_asked_at_once_fails_its_callers_and_nobody_else() -> None:
    batch = AtOnce()
    asker = policy(batch)
    callers = ask(asker, 0, 2)
    await eventually(lambda: batch.asked == [[0, 2]])
    later = ask(asker, 4)
    await asyncio.sleep(0)
    batch.tell(OpaUnavailable("garbage"))
    for caller in callers:
        with pytest.raises(Unavailable):
            await caller
    batch.tell()
    assert (await later[0]).allow


@pytest.mark.requirement("GW-19")
async def test_what_met_a_closed_connection_is_asked_again_and_waited_for() -> None:
    batch = AtOnce()
    asker = policy(batch)
    callers = ask(asker, 0, 2)
    await eventually(lambda: batch.asked == [[0, 2]])
    batch.tell(OpaUnavailable("closed", untouched=True))
    batch.answers.put_nowait("go")
    assert all(verdict.allow for verdict in await asyncio.gather(*callers))
    assert batch.asked == [[0, 2], [0, 2]]
    batch.no_way = True
    batch.answers.put_nowait("go")
    assert (await asker.decide({"n": 4})).allow


@pytest.mark.requirement("GW-19")
async def test_an_answer_after_the_gateway_stopped_is_nobodys() -> None:
    batch = AtOnce()
    asker = policy(batch)
    callers = ask(asker, 0)
    await eventually(lambda: batch.asked == [[0]])
    callers += ask(asker, 2)
    await asyncio.sleep(0)
    await asker.aclose()
    batch.tell()
    assert batch.asked == [[0]]
    for caller in callers:
        with pytest.raises(Unavailable):
            await caller


@pytest.mark.requirement("GW-19")
async def test_a_bug_in_asking_at_once_leaves_nobody_waiting() -> None:
    class Broken(AtOnce):
        def ask_at_once(self, inputs: list[bytes], timeout_s: float, heard: Callable[[Any], None]) -> bool:
            raise MemoryError

    batch = Broken()
    asker = policy(batch)
    for n in (0, 2):
        batch.answers.put_nowait("go")
        assert (await asker.decide({"n": n})).allow


@pytest.mark.requirement("GW-19")
async def test_nothing_is_asked_once_the_gateway_stops() -> None:
    batch = AtOnce()
    asker = policy(batch)
    caller = ask(asker, 0)[0]
    await eventually(lambda: batch.asked == [[0]])
    await asker.aclose()
    batch.tell(OpaUnavailable("closed", untouched=True))
    for refused in (caller, *ask(asker, 2)):
        with pytest.raises(Unavailable):
            await refused
    assert batch.asked == [[0]]
