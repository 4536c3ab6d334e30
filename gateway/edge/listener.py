"""uvicorn's HTTP/1.1 parser with what it lacks in front of hostile callers.

A head that is too large or too slow is cut off, trailers never become headers, targets other than a plain
path are refused, a broken request gets an error of our shape, and garbage behind a call that is under way
ends the connection only after that call has its answer. An application hears at once when its caller goes
away.
"""

import asyncio
import functools
from typing import Any, Final

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.config import Settings
from gateway.edge.ingress import ARRIVED, BREAK_OFF, GONE, ON_GONE
from gateway.edge.outgoing import Outgoing
from schemas.codes import STATUS, error_body
from schemas.ids import new_id

DISCARDED_BYTES_MAX: Final = 4 * 1024 * 1024
_MALFORMED: Final = "the request is not well-formed HTTP/1.1"


class Listener(HttpToolsProtocol):
    """One connection. The limits come with `protocol`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        head_bytes_max: int,
        head_timeout_s: float,
        write_stall_s: float,
        stream_s_max: float,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_bytes_max = head_bytes_max
        self._head_timeout_s = head_timeout_s
        self._write_stall_s = write_stall_s
        self._stream_s_max = stream_s_max
        self._in_head = False
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is closed like one that says nothing more."""
        self._outgoing = Outgoing(
            transport, self.loop, stall_s=self._write_stall_s, total_s=self._stream_s_max
        )
        super().connection_made(self._outgoing)
        self.timeout_keep_alive_task = self.loop.call_later(
            self._head_timeout_s, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application under way that its caller is gone."""
        super().connection_lost(exc)
        self._outgoing.lost()
        self._unset_keepalive_if_required()
        self._head_is_over()
        if self.cycle is None or self.cycle.response_complete:
            return
        scope: dict[str, Any] = self.cycle.scope  # type: ignore[assignment]
        scope[GONE] = True
        call = scope.get(ON_GONE)
        if call is not None:
            call()

    def data_received(self, data: bytes) -> None:
        """Parse; bound a head that has not ended."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > self._head_bytes_max:
            self._refuse("headers_too_large", f"a request's head may have {self._head_bytes_max} bytes")
        elif self._patience is None:
            self._patience = self.loop.call_later(self._head_timeout_s, self._too_slow)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._discarded_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Pass it to the application. What comes after the answer is thrown away, to a limit: closing at once
        would have the system throw away the answer too."""
        if not self.cycle.response_complete:
            super().on_body(body)
            return
        self._discarded_bytes += len(body)
        if self._discarded_bytes > DISCARDED_BYTES_MAX:
            self.transport.close()
        elif self._patience is None:
            self._patience = self.loop.call_later(self._head_timeout_s, self.transport.close)

    def on_message_complete(self) -> None:
        """A request has ended."""
        self._be_patient()
        self.scope[ARRIVED] = True  # type: ignore[typeddict-unknown-key]
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """A head has ended: its target must be a plain path."""
        self._head_is_over()
        if not self.url.startswith(b"/") or b"#" in self.url:
            raise httptools.HttpParserError("not a plain path")
        self.scope[BREAK_OFF] = self.transport.close  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a broken request; behind a whole call that is under way, after that one's answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
            self._refuse("malformed", _MALFORMED)
        elif cycle.more_body:
            self.transport.close()
        else:
            cycle.keep_alive = False
            self.flow.pause_reading()

    def _head_is_over(self) -> None:
        self._in_head = False
        self._be_patient()

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._refuse("malformed", f"the request's head took longer than {self._head_timeout_s} s")

    def _refuse(self, code: str, detail: str) -> None:
        """An answer of our shape, outside of any application."""
        correlation_id = new_id()
        body = orjson.dumps(error_body(code, detail, correlation_id))
        self.transport.write(
            STATUS_LINE[STATUS[code]]
            + b"content-type: application/json\r\nconnection: close\r\n"
            + f"x-correlation-id: {correlation_id}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self.transport.close()


def protocol(settings: Settings) -> Any:
    """What uvicorn's `http` setting takes: a listener with the settings' limits."""
    return functools.partial(
        Listener,
        head_bytes_max=settings.header_bytes_max,
        head_timeout_s=settings.head_timeout_s,
        write_stall_s=settings.write_stall_s,
        stream_s_max=settings.stream_s_max,
    )
