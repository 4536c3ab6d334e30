"""uvicorn's HTTP/1.1 parser with what it lacks in front of hostile callers; all services listen with it.

A head or a body that is too large or too slow is cut off, trailers never become headers, targets other than
a plain path are refused, a caller that does not read what it asked for is let go, garbage behind a call that
is under way ends the connection only after that call has its answer, and whatever is answered here has the
common shape of errors.

Two things are bounded apart from each other: connections, of which those without a request give way to new
ones, the oldest first; and requests under way, which are what costs. So nobody who only connects can keep
others out. A service that takes `body_bytes_max` begins a request only when all of it has come: half of one
is no more than a connection.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from adapters.connections import Connections
from adapters.deadline import Deadline
from adapters.http1_answer import BODILESS
from adapters.open_files import open_files_max
from adapters.outgoing import Outgoing
from schemas.codes import STATUS, error_body
from schemas.ids import new_id

DISCARDED_BYTES_MAX: Final = 4 * 1024 * 1024
RETRY_AFTER_S: Final = 1
_MALFORMED: Final = "the request is not well-formed HTTP/1.1"

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process takes. Without `body_bytes_max` bodies are the application's, piece by piece."""

    head_bytes_max: int
    head_timeout_s: float
    write_stall_s: float
    answer_s_max: float
    connections_max: int
    requests_max: int | None = None
    body_bytes_max: int | None = None
    body_timeout_s: float | None = None


class Listener(HttpToolsProtocol):
    """One connection. `limits` and `idle` come with `protocol`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        idle: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self._limits = limits
        self._idle = idle
        self._in_head = False
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._half: tuple[RequestResponseCycle, App] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._kept = Deadline(self.loop, self.timeout_keep_alive_handler)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is closed like one that says nothing more."""
        limits = self._limits
        self._outgoing = Outgoing(
            transport, self.loop, stall_s=limits.write_stall_s, total_s=limits.answer_s_max
        )
        super().connection_made(self._outgoing)
        self._kept.set(limits.head_timeout_s)
        if not self._idle.opened(self, len(self.connections)):
            self._refuse("overloaded", "there are too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, and what it was waited for."""
        super().connection_lost(exc)
        self._outgoing.lost()
        self._kept.end()
        self._head_is_over()
        self._idle.taken(self)
        self._half = None

    def data_received(self, data: bytes) -> None:
        """Parse; bound a head that has not ended."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > self._limits.head_bytes_max:
            self._refuse_head()
        else:
            self._wait(self._limits.head_timeout_s, "head")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._discarded_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take the target, or a piece of it; one that is longer than a whole head may be ends here."""
        super().on_url(url)
        if self._has_long_target():
            raise httptools.HttpParserError("too long a target")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head has ended: its target must be a plain path."""
        self._head_is_over()
        if not self.url.startswith(b"/") or b"#" in self.url:
            raise httptools.HttpParserError("not a plain path")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep it. What comes after the answer is thrown away, to a limit: closing at once would have the
        system throw away the answer too."""
        if self.cycle.response_complete:
            self._discard(len(body))
        elif self._limits.body_bytes_max is None:
            super().on_body(body)
        elif len(self.cycle.body) + len(body) <= self._limits.body_bytes_max:
            self.cycle.body += body
        elif not self.transport.is_closing():
            self._refuse("body_too_large", f"a body has at most {self._limits.body_bytes_max} bytes")

    def on_message_complete(self) -> None:
        """A request has ended, and may begin if it was waited for."""
        self._be_patient()
        super().on_message_complete()
        half = self._half
        if half is not None and half[0] is self.cycle and not self.transport.is_closing():
            self._half = None
            self._start_asgi_task(*half)

    def answer_whole(
        self, scope: dict[str, Any], status: int, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> bool:
        """Write a whole answer as uvicorn would in two messages, at a third of their cost.

        `headers` are well-formed; a Content-Length among them is that of the body. Answers False, and writes
        nothing, where an answer is more than its bytes: the connection ends behind it, or another request
        waits behind it, or the caller is slow, or gone, or wants no body.
        """
        cycle = self.cycle
        if cycle.scope is not scope or cycle.response_started or not cycle.keep_alive:
            return False
        if cycle.disconnected or self.flow.write_paused or self.transport.is_closing():
            return False
        if cycle.waiting_for_100_continue or cycle.scope["method"] == "HEAD" or status in BODILESS:
            return False
        text = [STATUS_LINE[status]]
        untold = True
        for name, value in (*cycle.default_headers, *headers):
            untold = untold and name != b"content-length"
            text += (name, b": ", value, b"\r\n")
        text += (b"content-length: %d\r\n\r\n" % len(body) if untold else b"\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        self.transport.write(b"".join(text))
        self.on_response_complete()
        return True

    def on_response_complete(self) -> None:
        """An answer has ended; the connection is kept if nothing waits behind it."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._kept.set(self.timeout_keep_alive)
        self._idle.kept(self)

    def _unset_keepalive_if_required(self) -> None:
        """It has said something."""
        self._kept.clear()

    def send_400_response(self, msg: str) -> None:
        """Answer a broken request; behind a whole call that is under way, after that one's answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
            if self._has_long_target():
                self._refuse_head()
            else:
                self._refuse("malformed", _MALFORMED)
        elif cycle.more_body:
            self.transport.close()
        else:
            cycle.keep_alive = False
            self.flow.pause_reading()

    def _has_long_target(self) -> bool:
        return len(self.url) > self._limits.head_bytes_max

    def _refuse_head(self) -> None:
        self._refuse("headers_too_large", f"a request's head may have {self._limits.head_bytes_max} bytes")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        limits = self._limits
        if limits.body_bytes_max is not None and cycle.more_body:
            self._half = (cycle, app)
            self._wait(limits.body_timeout_s or limits.head_timeout_s, "body")
            if cycle.waiting_for_100_continue:
                cycle.waiting_for_100_continue = False
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        self._idle.taken(self)
        overloaded = limits.requests_max is not None and len(self.tasks) >= limits.requests_max
        super()._start_asgi_task(cycle, _overloaded if overloaded else app)

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > DISCARDED_BYTES_MAX:
            self.transport.close()
        elif self._patience is None:
            self._patience = self.loop.call_later(self._limits.head_timeout_s, self.transport.close)

    def _head_is_over(self) -> None:
        self._in_head = False
        self._be_patient()

    def _wait(self, timeout_s: float, part: str) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(timeout_s, self._too_slow, part, timeout_s)

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _too_slow(self, part: str, timeout_s: float) -> None:
        if not self.transport.is_closing():
            self._refuse("malformed", f"the request's {part} took longer than {timeout_s} s")

    def _refuse(self, code: str, detail: str) -> None:
        """An answer of the common shape, outside of any application."""
        headers, body = _error(code, detail)
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[STATUS[code]] + head + b"connection: close\r\n\r\n" + body)
        self.transport.close()


async def _overloaded(_scope: Any, _receive: Any, send: Any) -> None:
    headers, body = _error("overloaded", "too many requests are under way")
    await send({"type": "http.response.start", "status": STATUS["overloaded"], "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _error(code: str, detail: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    correlation_id = new_id()
    body = orjson.dumps(error_body(code, detail, correlation_id))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-correlation-id", correlation_id.encode()),
    ]
    if STATUS[code] == 503:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return headers, body


def protocol(limits: Limits, listener: type[Listener] = Listener) -> Any:
    """What uvicorn's `http` setting takes: a listener with these limits."""
    files_max = open_files_max()
    return functools.partial(
        listener, limits=limits, idle=Connections(min(limits.connections_max, files_max // 2))
    )
