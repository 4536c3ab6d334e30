"""Asking OPA: flush-on-return batches.

While one question is with OPA, new ones queue; when it returns, all of them (to a limit) go in the next. One
question in flight is faster than two, since OPA is what both wait for. Every caller has its own deadline,
counted from when it asked. All deadlines are equally long, so they pass in the order of asking and one timer
watches them all. A question that fails, fails every caller in it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from adapters.opa import OpaUnavailable
from adapters.telemetry import logger
from gateway.core import decide
from gateway.core.decide import Verdict
from gateway.errors import Unavailable

_RETRY_AFTER_S: Final = 1
_STOPPING: Final = "the gateway is stopping"


log = logger("policy")


class Batch(Protocol):
    """One answer an input, in order, or `OpaUnavailable`."""

    def ask_at_once(
        self, inputs: list[bytes], timeout_s: float, heard: Callable[[list[Any] | OpaUnavailable], None]
    ) -> bool:
        """Ask without waiting, and have the answer told; False where that would have to wait."""

    async def ask(self, inputs: list[bytes], timeout_s: float) -> list[Any]:
        """Ask, and wait for whatever it takes."""


class OpaPolicy:
    """Decisions by OPA. Every answer comes, or is refused, within the timeout."""

    def __init__(self, batch: Batch, *, timeout_s: float, batch_max: int, queue_max: int) -> None:
        self._batch = batch
        self._timeout_s = timeout_s
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._queue: deque[tuple[bytes, asyncio.Future[Any]]] = deque()
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._busy = False
        self._closed = False
        self._asking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def decide(self, question: dict[str, Any]) -> Verdict:
        """The verdict on one input document. Raises `Unavailable`."""
        if self._closed:
            raise Unavailable("policy_unavailable", _STOPPING, retry_after_s=_RETRY_AFTER_S)
        if len(self._waiting) >= self._queue_max:
            raise Unavailable("overloaded", "too many calls wait for policy", retry_after_s=_RETRY_AFTER_S)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._queue.append((decide.text(question), answer))
        self._waiting.append((loop.time() + self._timeout_s, answer))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._ask_next)
        if self._timer is None:
            self._timer = loop.call_at(self._waiting[0][0], self._expire)
        return decide.read(await answer)

    async def aclose(self) -> None:
        """Ask nothing any more; whoever still waits is refused."""
        self._closed = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()
        _fail([answer for _, answer in self._waiting], _STOPPING)

    def _ask_next(self) -> None:
        """Ask for whoever waits. Done within the answer to those before, so that OPA is never idle."""
        inputs, answers = self._take()
        if not inputs:
            self._busy = False
            return
        try:
            asked = self._batch.ask_at_once(inputs, self._timeout_s, partial(self._heard, inputs, answers))
        except Exception:
            log.exception("asking_broke")
            asked = False
        if not asked:
            self._ask_waiting(inputs, answers)

    def _ask_waiting(self, inputs: list[bytes], answers: list[asyncio.Future[Any]]) -> None:
        """Ask in a task, which has the time to make a connection."""
        self._asking = asyncio.get_running_loop().create_task(self._ask(inputs, answers))

    async def _ask(self, inputs: list[bytes], answers: list[asyncio.Future[Any]]) -> None:
        heard: list[Any] | OpaUnavailable = OpaUnavailable("asking the policy broke off")
        try:
            heard = await self._batch.ask(inputs, self._timeout_s)
        except OpaUnavailable as error:
            heard = error
        finally:
            self._asking = None
            self._answer(answers, heard)

    def _heard(
        self, inputs: list[bytes], answers: list[asyncio.Future[Any]], heard: list[Any] | OpaUnavailable
    ) -> None:
        if isinstance(heard, OpaUnavailable) and heard.untouched and not self._closed:
            self._ask_waiting(inputs, answers)
        else:
            self._answer(answers, heard)

    def _answer(self, answers: list[asyncio.Future[Any]], heard: list[Any] | OpaUnavailable) -> None:
        if isinstance(heard, OpaUnavailable):
            _fail(answers, str(heard))
        else:
            for answer, decision in zip(answers, heard, strict=True):
                if not answer.done():
                    answer.set_result(decision)
        self._forget_answered()
        self._ask_next()

    def _take(self) -> tuple[list[bytes], list[asyncio.Future[Any]]]:
        inputs: list[bytes] = []
        answers: list[asyncio.Future[Any]] = []
        while self._queue and len(inputs) < self._batch_max:
            question, answer = self._queue.popleft()
            if not answer.done():
                inputs.append(question)
                answers.append(answer)
        return inputs, answers

    def _forget_answered(self) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._forget_answered()
        while self._waiting and (self._waiting[0][0] <= now_s or self._waiting[0][1].done()):
            _fail([self._waiting.popleft()[1]], "OPA did not answer in time")
        self._timer = loop.call_at(self._waiting[0][0], self._expire) if self._waiting else None


def _fail(answers: list[asyncio.Future[Any]], why: str) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(Unavailable("policy_unavailable", why, retry_after_s=_RETRY_AFTER_S))
