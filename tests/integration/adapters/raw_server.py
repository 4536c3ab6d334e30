"""A server that answers with bytes exactly as it is told, over TCP, TLS or a Unix socket."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.http1 import TcpAddress, UnixAddress

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
Answerer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """`address` to reach it; `connections` and `requests` that it has seen so far."""

    def __init__(self, answer: Answerer) -> None:
        self._answer = answer
        self.address: TcpAddress = TcpAddress("127.0.0.1", 0)
        self.connections = 0
        self.gone = asyncio.Event()
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                request = await _request(reader)
                self.requests.append(request)
                await self._answer(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    if length := _LENGTH.search(head):
        return head + await reader.readexactly(int(length[1]))
    if b"chunked" not in head:
        return head
    body = b""
    while not body.endswith(b"0\r\n\r\n"):
        body += await reader.readuntil(b"\r\n")
    return head + body


def always(raw: bytes, *, close: bool = False) -> Answerer:
    """The same bytes for every request, then the end of the stream if asked."""

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if close:
            writer.close()

    return answer


@asynccontextmanager
async def raw_server(answer: Answerer, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """On a free port of loopback."""
    served = RawServer(answer)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.address = TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        server.close()


@asynccontextmanager
async def raw_unix_server(answer: Answerer, path: Path) -> AsyncIterator[UnixAddress]:
    """On a Unix socket."""
    served = RawServer(answer)
    server = await asyncio.start_unix_server(served.serve, str(path))
    try:
        yield UnixAddress(str(path))
    finally:
        server.close()
