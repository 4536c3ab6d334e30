"""One kept-alive connection: a request goes out, an answer comes in, one at a time.

An `asyncio.Protocol` without streams, and without a task unless a request's body is streamed. The server
is held back (`pause_reading`) while the reader of the body is slower than it. The connection goes back to
its pool at the last byte of an answer, which may be before anybody has read the body: what has arrived
stays with the `Response`.
"""

import asyncio
import select
from collections.abc import AsyncIterable, Callable
from typing import cast

from adapters import http1_request
from adapters.deadline import Deadline
from adapters.http1_answer import Answer, BadAnswer, BrokenAnswer, ConnectFailed, HTTPError, Limits, NoAnswer
from adapters.http1_response import Response, Whole


class Connection(asyncio.Protocol):
    """The wire. `released` is called when the next request may use it; `lost` once, when it is gone."""

    __slots__ = (
        "_answer",
        "_drained",
        "_head",
        "_held",
        "_limits",
        "_lost",
        "_paused",
        "_poll",
        "_released",
        "_response",
        "_timeout_s",
        "_transport",
        "_upload",
        "idle_since_s",
        "loop",
        "used",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        released: "Callable[[Connection], None]",
        lost: "Callable[[Connection], None]",
    ) -> None:
        self.loop = loop
        self.used = False
        self.idle_since_s = 0.0
        self._limits = limits
        self._released = released
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._answer: Answer | None = None
        self._response: Response | Whole | None = None
        self._head = Deadline(loop, self._no_head)
        self._timeout_s = 0.0
        self._upload: asyncio.Task[None] | None = None
        self._held = False
        self._paused = False
        self._drained: asyncio.Future[None] | None = None

    @property
    def open(self) -> bool:
        """Whether it can carry a request."""
        return self._transport is not None

    @property
    def _flushed(self) -> bool:
        return self._transport is not None and not self._transport.get_write_buffer_size()

    @property
    def quiet(self) -> bool:
        """Whether it is open and nothing has come: no farewell, and no answer that nobody asked for."""
        return self._transport is not None and not self._poll.poll(0)

    def ask(self, request: bytes, timeout_s: float, heard: Callable[[Answer], None]) -> None:
        """Send one request. `heard` is called with its answer once that is whole, or is what `error` says;
        one that is larger than the buffer, or not whole after `timeout_s`, is an error.

        Nothing waits for it but the call: whoever asks one thing after another loses no turn of the loop.
        """
        transport = self._transport
        if transport is None:
            raise ConnectFailed("the connection is closed")
        answer = self._answer = Answer(self._limits, head_only=False)
        self._response = Whole(answer, heard)
        self._await_head(timeout_s)
        transport.write(request)

    async def exchange(
        self,
        head: bytes,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        head_only: bool,
        timeout_s: float,
        stall_s: float,
    ) -> Response:
        """Send one request and wait for the head of its answer, `timeout_s` from the last byte sent."""
        transport = self._transport
        if transport is None:
            raise ConnectFailed("the connection is closed")
        answer = self._answer = Answer(self._limits, head_only=head_only)
        response = Response(answer, self, stall_s)
        self._response = response
        self._await_head(timeout_s)
        if body is None or isinstance(body, bytes):
            transport.write(head + body if body else head)
        else:
            transport.write(head)
            self._upload = self.loop.create_task(self._send(body, timeout_s))
            self._upload.add_done_callback(self._sent)
        try:
            return await response.arrived(self.loop)
        except asyncio.CancelledError:
            response.close()
            raise

    def _await_head(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._head.set(timeout_s)

    def _no_head(self) -> None:
        self.fail(NoAnswer(f"no answer within {self._timeout_s} s", timed_out=True))

    async def _send(self, body: AsyncIterable[bytes], timeout_s: float) -> None:
        async for data in body:
            if data:
                await self._write(http1_request.chunk(data), timeout_s)
        await self._write(http1_request.LAST_CHUNK, timeout_s)

    async def _write(self, data: bytes, timeout_s: float) -> None:
        if self._transport is None:
            raise NoAnswer("the connection ended within the request")
        self._transport.write(data)
        if self._head.is_set:
            self._await_head(timeout_s)
        if self._paused:
            self._drained = self.loop.create_future()
            await self._drained

    def _sent(self, upload: "asyncio.Task[None]") -> None:
        """The upload is over; what its source raised ends the exchange, and is the error's cause."""
        self._upload = None
        cause = None if upload.cancelled() else upload.exception()
        if cause is not None and self._answer is not None:
            error = self._broken_off("the body of the request broke off")
            error.__cause__ = cause
            self.fail(error)

    def read_on(self, answer: Answer) -> None:
        """Let the server go on, once its reader has caught up."""
        if self._held and answer.buffered_bytes <= self._limits.buffer_bytes_max // 2:
            self._resume()

    def _resume(self) -> None:
        if self._held and self._transport is not None:
            self._transport.resume_reading()
        self._held = False

    def fail(self, error: HTTPError) -> None:
        """End the exchange that is under way with this error, and the connection with it."""
        self._end(error)
        self.abort()

    def abort(self) -> None:
        """Close at once, whatever is under way; a reader still waiting is told."""
        if self._upload is not None:
            self._upload.cancel()
        if self._transport is None:
            return
        self._transport.abort()
        self._transport = None
        self._head.end()
        self._drain()
        self._lost(self)
        self._end(self._broken_off("the connection was closed here"))

    def _broken_off(self, why: str) -> HTTPError:
        answer = self._answer
        if answer is None or answer.headed:
            return BrokenAnswer(why)
        return NoAnswer(why, untouched=not answer.started)

    def _end(self, error: HTTPError) -> None:
        """The answer will get no more, and this is why."""
        self._head.clear()
        response, answer = self._response, self._answer
        self._response = self._answer = None
        if response is not None and answer is not None:
            answer.error = error
            response.notify(detached=True)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        answer, response = self._answer, self._response
        if answer is None or response is None or self._transport is None:
            self.abort()
            return
        try:
            answer.feed(data)
        except HTTPError as error:
            self.fail(error)
            return
        if answer.ended:
            self._finish(answer)
        else:
            self._go_on(answer, response)

    def _go_on(self, answer: Answer, response: Response | Whole) -> None:
        """There is more to come. A whole answer has its time as a whole, and nobody who would make room."""
        too_much = answer.buffered_bytes > self._limits.buffer_bytes_max
        if isinstance(response, Whole):
            if too_much:
                self.fail(BadAnswer(f"the body is larger than {self._limits.buffer_bytes_max} bytes"))
            return
        if too_much and not self._held and self._transport is not None:
            self._held = True
            self._transport.pause_reading()
        if answer.headed:
            self._head.clear()
        response.notify(detached=False)

    def _finish(self, answer: Answer) -> None:
        """The answer is whole. Whoever hears of it may ask again at once, on this connection too."""
        response = self._response
        self._response = self._answer = None
        self._head.clear()
        if answer.reusable and self._upload is None and self._flushed:
            self._resume()
            self.used = True
            self.idle_since_s = self.loop.time()
            self._released(self)
        else:
            self.abort()
        if response is not None:
            response.notify(detached=True)

    def eof_received(self) -> None:
        answer = self._answer
        if answer is None:
            self.abort()
            return
        try:
            answer.end_of_stream()
        except HTTPError as error:
            self.fail(error)
        else:
            self._finish(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(self._broken_off("the connection was lost"))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._drain()

    def _drain(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
