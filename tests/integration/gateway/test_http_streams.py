"""Bodies and answers of HTTP tools as they come, callers who leave, and tool servers that fail."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fixtures.servers import eventually
from tests.integration.gateway.conftest import KEY, Running, StartGateway
from tests.integration.gateway.upstream import Seen, Upstream


@pytest.mark.requirement("GW-04")
async def test_an_opaque_body_streams_through(gateway: Running, tool: Upstream) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for n in range(100):
            yield bytes([n]) * 1_000

    answer = await gateway.request("POST", "/tools/search/open/x", content=pieces())
    assert answer.status_code == 200
    assert tool.requests[0].body == b"".join(bytes([n]) * 1_000 for n in range(100))


@pytest.mark.requirement("GW-04")
async def test_an_answer_streams_as_it_comes(gateway: Running, tool: Upstream) -> None:
    go_on = asyncio.Event()

    async def stream(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    tool.answer = stream
    headers = {"authorization": f"Bearer {KEY}"}
    async with gateway.client.stream("GET", "/tools/search/open/x", headers=headers) as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"first"
        decision = await gateway.decision(answer.headers["x-decision-id"])
        assert decision["outcome"] is None
        go_on.set()
        assert await anext(pieces) == b"last"
        assert [piece async for piece in pieces] == []
    assert (await gateway.decision(answer.headers["x-decision-id"]))["outcome"] == "succeeded"


@pytest.mark.requirement("GW-04")
async def test_a_long_answer_of_known_length_comes_whole(gateway: Running, tool: Upstream) -> None:
    body = bytes(range(256)) * 8_000
    tool.answers(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    answer = await gateway.get("/tools/search/open/x")
    assert answer.content == body
    assert answer.headers["content-length"] == str(len(body))


@pytest.mark.requirement("GW-04")
async def test_a_caller_who_leaves_ends_the_upstreams_work(gateway: Running, tool: Upstream) -> None:
    started = asyncio.Event()

    async def hang(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        started.set()

    tool.answer = hang
    call = asyncio.create_task(gateway.get("/tools/search/open/x", headers={"x-correlation-id": "left"}))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(tool.left.wait(), 5)
    assert await _outcome(gateway, "left") == "unknown"


@pytest.mark.requirement("GW-04")
async def test_a_caller_who_leaves_within_a_stream_ends_it(gateway: Running, tool: Upstream) -> None:
    async def trickle(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")

    tool.answer = trickle
    headers = {"authorization": f"Bearer {KEY}", "x-correlation-id": "left"}
    async with gateway.client.stream("GET", "/tools/search/open/x", headers=headers) as answer:
        assert await anext(answer.aiter_raw()) == b"first"
    await asyncio.wait_for(tool.left.wait(), 5)
    assert await _outcome(gateway, "left") == "unknown"


async def _outcome(gateway: Running, correlation_id: str) -> str:
    """The outcome on the journal of a call whose answer nobody has."""
    path = gateway.settings.journal_dir / "journal-0.sqlite"
    found: list[str] = []

    def look() -> bool:
        connection = sqlite3.connect(path)
        for (record,) in connection.execute("SELECT record FROM records WHERE event = 'completed'"):
            document = json.loads(record)
            if document["correlation_id"] == correlation_id:
                found.append(document["outcome"])
        connection.close()
        return bool(found)

    await eventually(look)
    return found[0]


@pytest.mark.requirement("GW-04")
@pytest.mark.parametrize(
    ("raw", "code", "status"),
    [
        (b"garbage\r\n\r\n", "upstream_invalid", 502),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "upstream_invalid",
            502,
        ),
        (b"", "upstream_unreachable", 502),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "upstream_invalid",
            502,
        ),
    ],
)
async def test_an_upstream_that_answers_garbage(
    raw: bytes, code: str, status: int, gateway: Running, tool: Upstream
) -> None:
    async def write(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    tool.answer = write
    answer = await gateway.get("/tools/search/open/x")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    decision = await gateway.decision(answer.headers["x-decision-id"])
    assert (decision["allow"], decision["outcome"], decision["code"]) == (True, "unknown", code)


@pytest.mark.requirement("GW-04")
async def test_an_answer_that_breaks_off_breaks_off(gateway: Running, tool: Upstream) -> None:
    async def write(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    tool.answer = write
    with pytest.raises(httpx.RemoteProtocolError):
        await gateway.get("/tools/search/open/x", headers={"x-correlation-id": "half"})
    assert await _outcome(gateway, "half") == "unknown"


@pytest.mark.requirement("GW-13")
async def test_an_upstream_that_hangs_and_one_that_is_not_there(
    start_gateway: StartGateway, tool: Upstream
) -> None:
    async def hang(_seen: Seen, _writer: asyncio.StreamWriter) -> None:
        return

    tool.answer = hang
    async with start_gateway(upstream_timeout_s=0.1) as gateway:
        late = await gateway.get("/tools/search/open/x")
        assert (late.status_code, late.json()["code"]) == (504, "upstream_timeout")
        dead = await gateway.get("/tools/dead/open/x")
        assert (dead.status_code, dead.json()["code"]) == (502, "upstream_unreachable")
        assert (await gateway.decision(dead.headers["x-decision-id"]))["outcome"] == "failed"


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("limits", [{"stream_bytes_max": 10}, {"stream_s_max": 0.05}])
async def test_a_stream_has_its_limits(
    limits: dict[str, float], start_gateway: StartGateway, tool: Upstream
) -> None:
    async def endless(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"5\r\nnoise\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)

    tool.answer = endless
    async with start_gateway(**limits) as gateway:
        with pytest.raises(httpx.RemoteProtocolError):
            await gateway.get("/tools/search/open/x")


@pytest.mark.requirement("GW-04")
@pytest.mark.parametrize(
    ("method", "raw", "body", "length"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone", b"done", "4"),
        ("GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndone\r\n0\r\n\r\n", b"done", "4"),
        ("GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"", "0"),
        ("POST", b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", b"no", "2"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b"", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", b"", None),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"", "9"),
    ],
)
async def test_an_answer_that_came_as_a_whole_is_framed_anew(
    method: str, raw: bytes, body: bytes, length: str | None, gateway: Running, tool: Upstream
) -> None:
    tool.answers(raw)
    for _ in range(2):
        answer = await gateway.request(method, "/tools/search/open/x")
        assert (answer.content, answer.headers.get("content-length")) == (body, length)
        assert answer.headers["x-decision-id"]


@pytest.mark.requirement("GW-04")
async def test_requests_that_come_at_once_are_answered_in_order(gateway: Running, tool: Upstream) -> None:
    async def echo(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + seen.target[-1:].encode())

    tool.answer = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"host: x\r\nauthorization: Bearer {KEY}\r\n"
    for n in range(3):
        last = "connection: close\r\n" if n == 2 else ""
        writer.write(f"GET /tools/search/open/{n} HTTP/1.1\r\n{head}{last}\r\n".encode())
    answers = (await reader.read()).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] + answer[-1:] for answer in answers] == [b"2000", b"2001", b"2002"]
    assert b"connection: close" in answers[2].lower()
    writer.close()
