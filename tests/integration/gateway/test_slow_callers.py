"""Callers that do not read, or send a body drop by drop: their places are given to others in time."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fixtures.deadlines import HUNG_S
from tests.fixtures.servers import eventually
from tests.integration.gateway.conftest import KEY, OTHER_KEY, Running, StartGateway, registry
from tests.integration.gateway.upstream import Upstream

pytestmark = pytest.mark.requirement("GW-13")

BIG_BYTES = 8_000_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"x":"%b"}}' % (b"x" * BIG_BYTES)
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"big"}}'
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
HURRIED = {"calls_max": 2, "write_stall_s": 0.2, "stream_s_max": 0.5}


@pytest.fixture
async def mcp(start_gateway: StartGateway, tool: Upstream) -> AsyncIterator[Running]:
    known = registry(tool.url)
    known["servers"]["search"]["kind"] = "mcp"
    async with start_gateway(registry=known, **HURRIED) as gateway:
        yield gateway


async def ask_and_never_read(port: int, request: bytes) -> socket.socket:
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    caller.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(caller, ("127.0.0.1", port))
    await loop.sock_sendall(caller, request)
    return caller


async def places_are_free_again(gateway: Running, tool: Upstream, request: bytes) -> None:
    callers = [await ask_and_never_read(gateway.port, request) for _ in range(2)]
    await eventually(lambda: len(tool.requests) == 2, 10)

    async def answered() -> httpx.Response:
        while (answer := await gateway.get("/tools/nowhere/x")).status_code == 503:
            await asyncio.sleep(0.01)
        return answer

    assert (await asyncio.wait_for(answered(), 10)).status_code == 403
    for caller in callers:
        caller.close()


def posted(message: bytes) -> bytes:
    return (
        b"POST /mcp/search HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        % (OTHER_KEY.encode(), len(message), message)
    )


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (CALL, HEAD % (b"application/json", len(RESULT)) + RESULT),
        (CALL, HEAD % (b"text/event-stream", BIG_BYTES) + b"data: {}\n\n" * (BIG_BYTES // 10)),
        (PING, HEAD % (b"text/event-stream", BIG_BYTES) + b"x" * BIG_BYTES),
    ],
    ids=["whole", "events", "unjudged"],
)
async def test_who_does_not_read_over_mcp_holds_no_place(
    message: bytes, answer: bytes, mcp: Running, tool: Upstream
) -> None:
    tool.answers(answer)
    await places_are_free_again(mcp, tool, posted(message))


async def test_who_does_not_read_over_http_holds_no_place(
    start_gateway: StartGateway, tool: Upstream
) -> None:
    tool.answers(HEAD % (b"text/plain", BIG_BYTES) + b"x" * BIG_BYTES)
    request = (
        b"GET /tools/search/x HTTP/1.1\r\nhost: g\r\nauthorization: Bearer %b\r\n\r\n" % OTHER_KEY.encode()
    )
    async with start_gateway(**HURRIED) as gateway:
        await places_are_free_again(gateway, tool, request)


async def test_a_caller_that_left_an_answer_lying_has_its_connection_closed(
    mcp: Running, tool: Upstream
) -> None:
    tool.answers(HEAD % (b"application/json", len(RESULT)) + RESULT)
    caller = await ask_and_never_read(mcp.port, posted(CALL))
    await eventually(lambda: len(tool.requests) == 1, 10)
    connections = mcp.server.server_state.connections
    await eventually(lambda: not connections, 10)
    caller.close()


@pytest.mark.parametrize(
    ("content_type", "setting"),
    [(b"application/json", "body_timeout_s"), (b"text/plain", "stream_s_max")],
    ids=["json", "stream"],
)
async def test_a_body_that_drips_has_its_time_as_a_whole(
    content_type: bytes, setting: str, start_gateway: StartGateway
) -> None:
    async with start_gateway(**{setting: 0.3}) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            b"POST /tools/search/open/x HTTP/1.1\r\nhost: g\r\nauthorization: Bearer %b\r\n"
            b"content-type: %b\r\ncontent-length: 1000000\r\n\r\n{" % (KEY.encode(), content_type)
        )
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        async with asyncio.timeout(HUNG_S):
            while not answer.done():
                writer.write(b" ")
                await asyncio.sleep(0.02)
        assert (await answer).startswith(b"HTTP/1.1 400 ")
        writer.close()
