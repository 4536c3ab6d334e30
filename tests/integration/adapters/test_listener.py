"""The common listener in front of an application that waits: who only connects keeps nobody out."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from adapters.listener import Limits, protocol
from tests.fixtures.deadlines import HUNG_S
from tests.fixtures.servers import eventually
from tollhouse.local.ports import free_port

pytestmark = pytest.mark.requirement("GW-13")

ASK = b"GET /now HTTP/1.1\r\nHost: s\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: s\r\n\r\n"
POST = b"POST /now HTTP/1.1\r\nHost: s\r\n"
NEVER_S = 60.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Service:
    """Answers with the body's length; `/wait` waits until it may go."""

    port: int
    stack: AsyncExitStack
    begun: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        self.begun += 1
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        if scope["path"] == "/wait":
            await self.go.wait()
        body = b"%d" % size
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def connect(self, said: bytes = b"") -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.stack.callback(writer.close)
        writer.write(said)
        await writer.drain()
        return reader, writer


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(HUNG_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        start, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers["content-length"]))
    return int(start.split(" ")[1]), headers, body


async def refusal(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and code of a refusal in the common shape, after which the connection ends."""
    status, headers, body = await answer(reader)
    document = json.loads(body)
    assert headers["content-type"] == "application/json"
    assert headers["x-correlation-id"] == document["correlation_id"]
    assert ("retry-after" in headers) is (status == 503)
    return status, document["code"]


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the service ends the connection, with nothing said."""
    async with asyncio.timeout(HUNG_S):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def service(**more: Any) -> AsyncIterator[Service]:
    """A service whose limits are far away but for those that are given."""
    far: dict[str, Any] = {
        "head_bytes_max": 1_000,
        "head_timeout_s": NEVER_S,
        "write_stall_s": NEVER_S,
        "answer_s_max": NEVER_S,
        "connections_max": 100,
        "requests_max": 100,
        "body_bytes_max": 1_000,
        "body_timeout_s": NEVER_S,
    }
    async with AsyncExitStack() as stack:
        one = Service(free_port(), stack)
        config = uvicorn.Config(
            one, port=one.port, http=protocol(Limits(**far | more)), lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        await eventually(lambda: server.started or task.done(), HUNG_S)
        try:
            yield one
        finally:
            one.go.set()
            await stack.aclose()
            server.should_exit = True
            await task


async def test_connections_that_ask_nothing_give_way_the_oldest_first() -> None:
    async with service(connections_max=4) as one:
        idle = [
            await one.connect(said) for said in (b"", b"GET /now HT", POST + b"Content-Length: 9\r\n\r\n{")
        ]
        for _ in range(3):
            reader, _ = await one.connect(ASK)
            assert (await answer(reader))[0] == 200
        assert [await ended(reader) for reader, _ in idle[:2]] == [True, True]
        assert one.begun == 3


async def test_a_connection_that_was_answered_stays_longer_than_one_that_never_asked() -> None:
    async with service(connections_max=3) as one:
        reader, writer = await one.connect(ASK)
        await answer(reader)
        silent = [await one.connect() for _ in range(6)]
        assert [await ended(reader) for reader, _ in silent[:4]] == [True] * 4
        writer.write(ASK)
        assert (await answer(reader))[0] == 200


@pytest.mark.requirement("GW-20")
async def test_where_all_connections_have_requests_a_new_one_is_told_so() -> None:
    async with service(connections_max=2) as one:
        waiting = [await one.connect(WAIT) for _ in range(2)]
        await eventually(lambda: one.begun == 2, HUNG_S)
        reader, _ = await one.connect()
        assert await refusal(reader) == (503, "overloaded")
        one.go.set()
        assert [(await answer(reader))[0] for reader, _ in waiting] == [200, 200]
        again, _ = await one.connect(ASK)
        assert (await answer(again))[0] == 200


@pytest.mark.requirement("GW-20")
async def test_requests_under_way_are_bounded_and_nothing_else_counts_as_one() -> None:
    async with service(requests_max=2) as one:
        halves = [await one.connect(POST + b"Content-Length: 2\r\n\r\n{") for _ in range(5)]
        waiting = [await one.connect(WAIT) for _ in range(2)]
        await eventually(lambda: one.begun == 2, HUNG_S)
        reader, writer = await one.connect(ASK)
        assert await refusal(reader) == (503, "overloaded")
        one.go.set()
        assert [(await answer(reader))[0] for reader, _ in waiting] == [200, 200]
        writer.write(ASK)
        assert (await answer(reader))[0] == 200
        for reader, writer in halves:
            writer.write(b"}")
            assert (await answer(reader))[2] == b"2"


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (b"GARBAGE\r\n\r\n", 400, "malformed"),
        (b"\x16\x03\x01", 400, "malformed"),
        (b"GET http://s/now HTTP/1.1\r\nHost: s\r\n\r\n", 400, "malformed"),
        (b"GET /now HTTP/1.1\r\nX: " + b"a" * 2_000, 431, "headers_too_large"),
        (b"GET /" + b"a" * 2_000, 431, "headers_too_large"),
        (b"GET /" + b"a" * 2_000 + b" HTTP/1.1\r\n\r\n", 431, "headers_too_large"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431, "headers_too_large"),
        (POST + b"Content-Length: 1001\r\n\r\n" + b"a" * 1_001, 413, "body_too_large"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b"a" * 100 + b"\r\nzz", 400, "malformed"),
    ],
)
async def test_what_is_refused_here_has_the_common_shape(said: bytes, status: int, code: str) -> None:
    async with service() as one:
        reader, _ = await one.connect(said)
        assert await refusal(reader) == (status, code)
        assert await ended(reader)
        assert one.begun == 0


@pytest.mark.parametrize("said", [b"GET /now HTTP/1.1\r\n", POST + b"Content-Length: 9\r\n\r\n{"])
async def test_half_a_request_is_waited_for_so_long_and_no_longer(said: bytes) -> None:
    async with service(head_timeout_s=0.05, body_timeout_s=0.05) as one:
        reader, _ = await one.connect(said)
        assert await refusal(reader) == (400, "malformed")
        assert await ended(reader)


async def test_silence_is_waited_for_so_long_and_no_longer() -> None:
    async with service(head_timeout_s=0.05) as one:
        reader, _ = await one.connect()
        assert await ended(reader)


async def test_requests_that_come_in_pieces_or_all_at_once_are_answered_in_their_order() -> None:
    async with service() as one:
        reader, writer = await one.connect(
            ASK + POST + b"Content-Length: 3\r\n\r\nabc" + POST + b"Content-Length: 9\r\n\r\nabcd"
        )
        assert [(await answer(reader))[2] for _ in range(2)] == [b"0", b"3"]
        writer.write(b"efghi")
        assert (await answer(reader))[2] == b"9"


async def test_a_caller_that_asks_before_it_sends_is_told_to_go_on() -> None:
    async with service() as one:
        reader, writer = await one.connect(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        async with asyncio.timeout(HUNG_S):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await answer(reader))[2] == b"2"
