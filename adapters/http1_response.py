"""The body of an answer for whoever reads it, as it comes, held apart from the wire that feeds it."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from adapters.http1_answer import Answer, BadAnswer, BrokenAnswer, Headers, HTTPError


class Wire(Protocol):
    """What a response asks of the connection that feeds it."""

    loop: asyncio.AbstractEventLoop

    def abort(self) -> None:
        """Close at once."""

    def fail(self, error: HTTPError) -> None:
        """End the answer with this error."""

    def read_on(self, answer: Answer) -> None:
        """The reader has taken something."""


class Whole:
    """An answer that nobody reads before it is whole."""

    __slots__ = ("_answer", "_heard")

    def __init__(self, answer: Answer, heard: Callable[[Answer], None]) -> None:
        self._answer = answer
        self._heard = heard

    def notify(self, *, detached: bool) -> None:
        """The connection is done with the answer."""
        if detached:
            self._heard(self._answer)


class Response:
    """An answer whose head has come; iterate over it for the chunks of its body, as they come.

    Whoever does not read to the end calls `aclose`, or uses it as an asynchronous context manager.
    """

    __slots__ = ("_answer", "_connection", "_stall_s", "_waiter", "headers", "status")

    def __init__(self, answer: Answer, connection: Wire, stall_s: float) -> None:
        self.status = 0
        self.headers: Headers = []
        """Lower-case names and values as they came, in order."""
        self._answer = answer
        self._connection: Wire | None = connection
        self._stall_s = stall_s
        self._waiter: asyncio.Future[None] | None = None

    @property
    def complete(self) -> bool:
        """Whether the whole body has arrived: reading it will not wait."""
        return self._answer.ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body. Raises `BrokenAnswer` if it breaks off or stalls."""
        answer = self._answer
        while not answer.chunks:
            if answer.ended:
                raise StopAsyncIteration
            if answer.error is not None:
                raise answer.error
            if self._connection is not None:
                await self._more(self._connection)
        chunk = answer.chunks.popleft()
        answer.buffered_bytes -= len(chunk)
        if self._connection is not None:
            self._connection.read_on(answer)
        return chunk

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body. Raises `BadAnswer`, and closes, when it is larger than the limit."""
        if self.complete and self._answer.buffered_bytes <= limit_bytes:
            return self._answer.rest()
        chunks = []
        size_bytes = 0
        async for chunk in self:
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                await self.aclose()
                raise BadAnswer(f"the body is larger than {limit_bytes} bytes")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def aclose(self) -> None:
        """Done with it. A body that has not ended ends the connection: the server sees that we left."""
        self.close()

    def close(self) -> None:
        """What `aclose` does, without waiting (there is nothing to wait for)."""
        if self._connection is not None:
            self._connection.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _more(self, connection: Wire) -> None:
        timer = connection.loop.call_later(self._stall_s, self._stalled)
        try:
            await self._news(connection.loop)
        finally:
            timer.cancel()

    def _stalled(self) -> None:
        if self._connection is not None:
            self._connection.fail(BrokenAnswer(f"the body stalled for {self._stall_s} s"))

    async def _news(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waiter = loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def arrived(self, loop: asyncio.AbstractEventLoop) -> Self:
        """Wait for the head. Raises the error that came in its stead."""
        answer = self._answer
        while not answer.headed:
            if answer.error is not None:
                raise answer.error
            await self._news(loop)
        self.status, self.headers = answer.status, answer.headers
        return self

    def notify(self, *, detached: bool) -> None:
        """The connection has fed the answer; `detached` when it will not feed it again."""
        if detached:
            self._connection = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
