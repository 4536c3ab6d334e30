"""Broken and hostile HTTP, byte for byte: one shape of errors, and nothing upstream."""

import asyncio
import json
from typing import Any

import pytest

from adapters.listener import DISCARDED_BYTES_MAX
from tests.integration.gateway.conftest import KEY, Running, StartGateway
from tests.integration.gateway.upstream import Seen, Upstream

pytestmark = pytest.mark.requirement("GW-13")

AUTH = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
GET = b"GET /tools/search/open/x HTTP/1.1\r\nHost: g\r\n" + AUTH
POST = b"POST /tools/search/open/x HTTP/1.1\r\nHost: g\r\nConnection: close\r\n" + AUTH


def answers(raw: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Status, headers and JSON of every answer in there."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        start, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers["content-length"])
        found.append((int(start.split(" ")[1]), headers, json.loads(rest[:length])))
        raw = rest[length:]
    return found


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: g\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : g\r\n\r\n",
        b"GET http://elsewhere/tools/search/open/x HTTP/1.1\r\nHost: g\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: g\r\n\r\n",
        b"GET /tools/search/open/x#f HTTP/1.1\r\nHost: g\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        POST + b"Content-Length: -1\r\n\r\n",
        b"GET /tools/search/open/x HTTP/1.1\r\nConnection: close\r\n" + AUTH + b"\r\n",
        GET + b"Host: h\r\nConnection: close\r\n\r\n",
        GET + b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    ],
)
async def test_a_broken_request_gets_the_common_shape(raw: bytes, gateway: Running, tool: Upstream) -> None:
    (status, headers, document), *more = answers(await gateway.raw(raw))
    assert (status, document["code"], more) == (400, "malformed", [])
    assert headers["content-type"] == "application/json"
    assert headers["x-correlation-id"] == document["correlation_id"]
    assert tool.requests == []


async def test_a_head_that_is_too_large_is_cut_off(gateway: Running) -> None:
    (status, _, document), *_ = answers(await gateway.raw(GET + b"X-Long: " + b"a" * 70_000))
    assert (status, document["code"]) == (431, "headers_too_large")


async def test_a_head_a_body_or_a_connection_that_is_too_slow_is_cut_off(start_gateway: StartGateway) -> None:
    async with start_gateway(head_timeout_s=0.1, body_timeout_s=0.1) as gateway:
        (status, _, document), *_ = answers(await gateway.raw(GET))
        assert (status, document["code"]) == (400, "malformed")
        json_head = POST + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        (status, _, document), *_ = answers(await gateway.raw(json_head))
        assert (status, document["code"]) == (400, "malformed")
        assert await gateway.raw(b"") == b""


@pytest.mark.requirement("GW-02")
async def test_trailers_are_no_headers(gateway: Running, tool: Upstream) -> None:
    body = (
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Evil: 1\r\nAuthorization: Bearer other\r\n\r\n"
    )
    (status, _, _), *_ = answers(await gateway.raw(POST + body))
    assert status == 200
    assert tool.requests[0].header("x-evil") is None


@pytest.mark.requirement("GW-04")
async def test_garbage_behind_a_call_does_not_take_its_answer(gateway: Running, tool: Upstream) -> None:
    (status, headers, _), *more = answers(await gateway.raw(GET + b"\r\n" + b"garbage\r\n\r\n"))
    assert (status, more) == (200, [])
    assert (await gateway.decision(headers["x-decision-id"]))["outcome"] == "succeeded"


@pytest.mark.requirement("GW-04")
async def test_pipelined_calls_are_answered_in_their_order(gateway: Running, tool: Upstream) -> None:
    async def echo(seen: Seen, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(seen.target).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    tool.answer = echo
    second = GET.replace(b"open/x", b"open/y") + b"Connection: close\r\n\r\n"
    both = answers(await gateway.raw(GET + b"\r\n" + second))
    assert [(status, document) for status, _, document in both] == [(200, "/open/x"), (200, "/open/y")]


async def test_a_body_that_goes_on_after_the_answer_is_thrown_away_to_a_limit(gateway: Running) -> None:
    refused = POST.replace(AUTH, b"").replace(b"Connection: close\r\n", b"")
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    (status, _, _), *more = answers(
        await gateway.raw(
            refused
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + chunk * 4
            + b"0\r\n\r\n"
            + GET
            + b"Connection: close\r\n\r\n"
        )
    )
    assert (status, more[0][0]) == (401, 200)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(refused + b"Transfer-Encoding: chunked\r\n\r\n")
    sent = await _write_until_closed(writer, chunk, 1_000)
    writer.close()
    assert DISCARDED_BYTES_MAX // len(chunk) < sent < 1_000


async def _write_until_closed(writer: asyncio.StreamWriter, chunk: bytes, times: int) -> int:
    for sent in range(times):
        writer.write(chunk)
        try:
            await writer.drain()
        except ConnectionError:
            return sent
    return times


async def test_a_caller_that_asks_before_it_sends_is_told_at_once(gateway: Running) -> None:
    asking = POST.replace(AUTH, b"").replace(b"Connection: close\r\n", b"Expect: 100-continue\r\n")
    (status, headers, _), *_ = answers(await gateway.raw(asking + b"Content-Length: 5\r\n\r\n"))
    assert (status, headers["connection"]) == (401, "close")
