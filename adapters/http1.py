"""Our HTTP/1.1 client: a pool of kept-alive connections to one server, over TCP, TLS or a Unix socket.

Forwarding is what a gateway is, so this one is ours: strict, streaming in both directions with
back-pressure, and with a limit on everything. The path of a request through the files:

    http1_request.py      one canonical head, or ValueError: nothing in it can start a second request
    http1_connection.py   the wire: sends, waits, holds a fast server back
    http1_answer.py       reads what comes back, strictly; the tree of errors

A connection is used again only after an answer that ended exactly where it said, and only when nothing
has arrived since. A request is never sent twice, unless the caller calls it idempotent and a connection
that had been used before ended without a single byte of an answer.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Final

from adapters import http1_request
from adapters.http1_answer import (
    Answer,
    BadAnswer,
    BrokenAnswer,
    ConnectFailed,
    Headers,
    HTTPError,
    Limits,
    NoAnswer,
)
from adapters.http1_connection import Connection
from adapters.http1_response import Response

__all__ = [
    "Answer",
    "BadAnswer",
    "BrokenAnswer",
    "ConnectFailed",
    "HTTPError",
    "Headers",
    "Limits",
    "NoAnswer",
    "Pool",
    "Response",
    "TcpAddress",
    "UnixAddress",
]

_HEAD: Final = b"HEAD"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host name or IP address (IPv6 without brackets) and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a listening Unix socket."""

    path: str


class Pool:
    """Connections to one server, at most `limits.connections_max`, the last used first."""

    def __init__(
        self,
        *,
        address: TcpAddress | UnixAddress,
        tls: ssl.SSLContext | None = None,
        limits: Limits,
    ) -> None:
        self._address = address
        self._tls = tls
        self._limits = limits
        self._host = _host(address, tls)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    async def send(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
        timeout_s: float,
        *,
        idempotent: bool = False,
        stall_s: float | None = None,
        begun: Callable[[], None] | None = None,
        patience_s: float = 0.0,
    ) -> Response:
        """Send one request and wait for the head of its answer.

        `headers` hold none of the connection's own (`Content-Length`, …); `Host` is the server's by default.
        A body that is iterated over is sent in chunks. `timeout_s` bounds the wait for a connection and, anew
        with each piece sent, for the head; `stall_s` (by default the pool's) the silence within the body.
        `begun` is called before anything is written; from then on `patience_s` counts where it is longer.
        Raises `ConnectFailed`, `NoAnswer` (also where it could not be sent a second time), `BadAnswer`, and
        `ValueError` for a request that would not be well formed.
        """
        length = len(body) if isinstance(body, bytes) else None if body is None else http1_request.CHUNKED
        head = http1_request.head(method, target, headers, self._host, length)
        unanswered: NoAnswer | None = None
        while True:
            try:
                connection = await self._acquire(timeout_s, fresh=unanswered is not None)
            except ConnectFailed as error:
                raise unanswered or error from None
            used = connection.used
            if begun is not None:
                begun()
            try:
                return await connection.exchange(
                    head,
                    body,
                    head_only=method == _HEAD,
                    timeout_s=max(timeout_s, patience_s),
                    stall_s=max(self._limits.stall_s if stall_s is None else stall_s, patience_s),
                )
            except NoAnswer as error:
                if not (idempotent and used and error.untouched and length != http1_request.CHUNKED):
                    raise
                unanswered = error

    def ask(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes,
        timeout_s: float,
        heard: Callable[[Answer], None],
    ) -> bool:
        """Send one request at once, if a connection is at hand; whether there was one.

        `heard` is called, once, with the answer when that is whole or `error` says why it never will be:
        after `timeout_s`, or when it is larger than `limits.buffer_bytes_max`. It is not sent twice.
        """
        connection = self._at_hand()
        if connection is None:
            return False
        head = http1_request.head(method, target, headers, self._host, len(body))
        connection.ask(head + body, timeout_s, heard)
        return True

    async def aclose(self) -> None:
        """Close every connection; exchanges under way break off and waiting callers fail."""
        self._closed = True
        for connection in list(self._all):
            connection.abort()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectFailed("the pool is closed"))

    async def _acquire(self, timeout_s: float, *, fresh: bool) -> Connection:
        if self._closed:
            raise ConnectFailed("the pool is closed")
        if fresh:
            self._part_with_idle()
        if (connection := self._at_hand()) is not None:
            return connection
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        if len(self._all) + self._connecting < self._limits.connections_max:
            self._connecting += 1
            return await self._connect(deadline_s)
        return await self._wait(deadline_s)

    def _at_hand(self) -> Connection | None:
        """The connection that was used last, if nothing speaks against using it again."""
        while self._idle:
            connection = self._idle.pop()
            rested_s = connection.loop.time() - connection.idle_since_s
            if rested_s < self._limits.idle_s and connection.quiet:
                return connection
            connection.abort()
        return None

    def _part_with_idle(self) -> None:
        while self._idle:
            self._idle.pop().abort()

    async def _wait(self, deadline_s: float) -> Connection:
        """Wait for a connection that somebody gives back, or for the room that a lost one leaves."""
        if len(self._waiting) >= self._limits.waiting_max:
            raise ConnectFailed("too many requests wait for a connection")
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(deadline_s):
                connection = await waiter
        except TimeoutError:
            self._decline(waiter)
            raise ConnectFailed("no connection was free in time") from None
        except asyncio.CancelledError:
            self._decline(waiter)
            raise
        if connection is None:
            return await self._connect(deadline_s)
        return connection if connection.open else await self._wait(deadline_s)

    def _decline(self, waiter: "asyncio.Future[Connection | None]") -> None:
        """A waiter that leaves passes on what it was given in the same moment."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            connection = waiter.result()
            if connection is None:
                self._connecting -= 1
                self._room()
            elif connection.open:
                self._released(connection)

    async def _connect(self, deadline_s: float) -> Connection:
        """Open a connection in the place that `_connecting` already counts."""
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._limits, self._released, self._lost)
        try:
            async with asyncio.timeout_at(min(deadline_s, loop.time() + self._limits.connect_timeout_s)):
                await self._open(loop, connection)
            if self._closed or not connection.open:
                raise ConnectFailed("the connection was closed at once")
        except TimeoutError:
            raise ConnectFailed("no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"cannot connect: {error}") from error
        else:
            self._all.add(connection)
        finally:
            self._connecting -= 1
            if connection not in self._all:
                connection.abort()
                self._room()
        return connection

    async def _open(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        if isinstance(self._address, UnixAddress):
            await loop.create_unix_connection(
                lambda: connection,
                self._address.path,
                ssl=self._tls,
                server_hostname="localhost" if self._tls else None,
            )
        else:
            await loop.create_connection(
                lambda: connection,
                self._address.host,
                self._address.port,
                ssl=self._tls,
            )

    def _released(self, connection: Connection) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def _lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._room()

    def _room(self) -> None:
        """A place is free: the first who waits may fill it."""
        while self._waiting and len(self._all) + self._connecting < self._limits.connections_max:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._connecting += 1
                waiter.set_result(None)


def _host(address: TcpAddress | UnixAddress, tls: ssl.SSLContext | None) -> bytes:
    if isinstance(address, UnixAddress):
        return b"localhost"
    name = f"[{address.host}]" if ":" in address.host else address.host
    usual = 443 if tls else 80
    return (name if address.port == usual else f"{name}:{address.port}").encode("ascii")
