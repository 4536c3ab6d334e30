"""HTTP tools through a gateway that listens, with real OPA, a real journal and a real tool server."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fixtures.servers import eventually
from tests.integration.gateway.conftest import KEY, OTHER_KEY, Running, StartGateway, registry
from tests.integration.gateway.upstream import Seen, Upstream


@pytest.mark.requirement("GW-04")
async def test_a_call_goes_through_and_its_decision_can_be_read(gateway: Running, tool: Upstream) -> None:
    answer = await gateway.get("/tools/search/open/a%20b?q=x+y", headers={"traceparent": "00-ab-cd-01"})
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    seen = tool.requests[0]
    assert (seen.method, seen.target) == ("GET", "/open/a%20b?q=x%20y")
    assert seen.header("traceparent") == "00-ab-cd-01"
    assert seen.header("authorization") is None
    decision = await gateway.decision(answer.headers["x-decision-id"])
    assert (decision["allow"], decision["outcome"], decision["status"]) == (True, "succeeded", 200)
    assert decision["action"]["name"] == "search.GET /open/a%20b"
    assert decision["correlation_id"] == answer.headers["x-correlation-id"]


@pytest.mark.requirement("AUD-02")
async def test_a_decision_is_its_callers_own(gateway: Running, tool: Upstream) -> None:
    answer = await gateway.get("/tools/search/open/x")
    mine = f"/v1/decisions/{answer.headers['x-decision-id']}"
    assert (await gateway.get(mine, OTHER_KEY)).status_code == 404
    assert (await gateway.get("/v1/decisions/nothing")).status_code == 404
    assert (await gateway.get("/v1/decisions/01a1fdf7-437c-786b-a932-ca84b6a09df5")).status_code == 404
    assert (await gateway.request("POST", mine)).status_code == 405
    assert (await gateway.client.get(mine)).status_code == 401


@pytest.mark.requirement("GW-01")
async def test_what_policy_refuses_never_reaches_the_tool(gateway: Running, tool: Upstream) -> None:
    answer = await gateway.get("/tools/search/closed")
    document = answer.json()
    assert (answer.status_code, document["code"]) == (403, "tool_not_allowed")
    assert document["decision_id"] == answer.headers["x-decision-id"]
    assert document["reasons"][0]["code"] == "tool_not_allowed"
    assert tool.requests == []
    decision = await gateway.decision(document["decision_id"])
    assert (decision["allow"], decision["outcome"]) == (False, "refused")


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "token_missing"),
        ({"authorization": "Bearer wrong"}, "token_invalid"),
        ({"x-api-key": "wrong"}, "token_invalid"),
        ({"authorization": "Bearer a.b.c"}, "token_invalid"),
        ({"authorization": f"Bearer {KEY}", "x-api-key": KEY}, "token_invalid"),
    ],
)
async def test_a_stranger_gets_401(
    headers: dict[str, str], code: str, gateway: Running, tool: Upstream
) -> None:
    answer = await gateway.client.get("/tools/search/open/x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert tool.requests == []


@pytest.mark.requirement("GW-04")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
async def test_any_method_goes_through(method: str, gateway: Running, tool: Upstream) -> None:
    if method == "HEAD":
        tool.answers(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")
    answer = await gateway.request(method, "/tools/search/open/x")
    assert answer.status_code == 200
    assert tool.requests[0].method == method


@pytest.mark.requirement("GW-13")
async def test_json_is_judged_by_its_members_and_sent_as_the_very_bytes(
    gateway: Running, tool: Upstream
) -> None:
    body = b'{ "amount" :\t499.50 }'
    headers = {"content-type": "application/json; charset=utf-8"}
    answer = await gateway.request("POST", "/tools/search/pay", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert tool.requests[0].body == body
    above = await gateway.request("POST", "/tools/search/pay", json={"amount": 501})
    assert (above.status_code, above.json()["code"]) == (403, "argument_refused")
    listed = await gateway.request("POST", "/tools/search/pay", json=[1])
    assert listed.json()["code"] == "argument_refused"
    opaque = await gateway.request("POST", "/tools/search/pay", content=b'{"amount": 501}')
    assert opaque.json()["code"] == "argument_refused"
    assert len(tool.requests) == 1


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    ("path", "content", "headers"),
    [
        ("/tools/search/pay", b'{"amount": 1, "amount": 2}', {}),
        ("/tools/search/pay", b'{"amount": NaN}', {}),
        ("/tools/search/pay", b"[" * 10_000, {}),
        ("/tools/search/pay", b"\xff", {}),
        ("/tools/search/pay", b"{} {}", {}),
        ("/tools/search/pay", b"{}", {"content-encoding": "gzip"}),
        ("/tools/search/pay", b"{}", {"content-type": "application/json; charset=utf-16"}),
        ("/tools/search/pay?amount=1", b'{"amount": 1}', {}),
        ("/tools/search/pay?amount=1&amount=2", b"", {}),
        ("/tools/search/open/%2e%2e/x", b"", {}),
        ("/tools/search/open//x", b"", {}),
        ("/tools/search/open%2fx", b"", {}),
        ("/tools/search/" + "a" * 5_000, b"", {}),
    ],
)
async def test_what_can_be_read_in_two_ways_is_refused_and_on_record(
    path: str, content: bytes, headers: dict[str, str], gateway: Running, tool: Upstream
) -> None:
    answer = await gateway.request(
        "POST", path, content=content, headers={"content-type": "application/json", **headers}
    )
    document = answer.json()
    assert (answer.status_code, document["code"]) == (400, "malformed"), document
    assert tool.requests == []
    assert (await gateway.decision(document["decision_id"]))["outcome"] == "refused"


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_a_body_over_the_limit_is_refused(
    chunked: bool, kind: str, start_gateway: StartGateway, tool: Upstream
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 100

    async with start_gateway(json_bytes_max=1_000, body_bytes_max=1_000) as gateway:
        content = pieces() if chunked else b" " * 5_000
        answer = await gateway.request(
            "POST", "/tools/search/open/x", content=content, headers={"content-type": kind}
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert tool.requests == []


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
    import sqlite3

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


@pytest.mark.requirement("GW-20")
async def test_unknown_servers_and_routes(gateway: Running, tool: Upstream) -> None:
    absent = await gateway.get("/tools/absent/")
    assert (absent.status_code, absent.json()["code"]) == (404, "not_found")
    unlisted = await gateway.get("/tools/elsewhere/")
    assert (unlisted.status_code, unlisted.json()["code"]) == (403, "tool_not_allowed")
    for path in ("/", "/tools", "/tools/", "/nothing", "/api/other"):
        answer = await gateway.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    spend = await gateway.request("POST", "/api/treasury/authorize", json={})
    assert (spend.status_code, spend.json()["code"]) == (503, "treasury_unavailable")
    assert tool.requests == []


@pytest.mark.requirement("GW-13")
async def test_calls_at_once_and_an_agents_rate_are_limited(
    start_gateway: StartGateway, tool: Upstream
) -> None:
    held = asyncio.Event()

    async def wait(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    tool.answer = wait
    async with start_gateway(calls_max=1) as gateway:
        first = asyncio.create_task(gateway.get("/tools/search/open/x"))
        await eventually(lambda: tool.requests)
        second = await gateway.get("/tools/search/open/x")
        assert (second.status_code, second.json()["code"]) == (503, "overloaded")
        assert second.headers["retry-after"] == "1"
        held.set()
        assert (await first).status_code == 204
        for _ in range(2):
            assert (await gateway.get("/tools/search/anything", OTHER_KEY)).status_code == 204
        limited = await gateway.get("/tools/search/anything", OTHER_KEY)
        assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
        assert int(limited.headers["retry-after"]) > 1


@pytest.mark.requirement("OPS-04")
async def test_a_changed_registry_is_in_force_without_a_restart(gateway: Running, tool: Upstream) -> None:
    async def status() -> int:
        return (await gateway.get("/tools/search/open/x")).status_code

    assert await status() == 200
    gateway.registry_file.write_text(json.dumps(registry(tool.url) | {"keys": {}}))
    deadline = asyncio.get_running_loop().time() + 2
    while await status() != 401:
        assert asyncio.get_running_loop().time() < deadline


@pytest.mark.requirement("OPS-04")
async def test_a_stop_lets_calls_under_way_end(start_gateway: StartGateway, tool: Upstream) -> None:
    async def wait(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        await eventually(lambda: gateway.server.should_exit)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    tool.answer = wait
    async with start_gateway() as gateway:
        call = asyncio.create_task(gateway.get("/tools/search/open/x"))
        await eventually(lambda: tool.requests)
        gateway.server.should_exit = True
        assert (await call).status_code == 204


@pytest.mark.requirement("GW-10")
async def test_a_paid_call_without_treasury_is_refused(gateway: Running, tool: Upstream) -> None:
    answer = await gateway.get("/tools/search/price")
    assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
    assert tool.requests == []


@pytest.mark.requirement("GW-20")
async def test_what_is_refused_before_anything_is_read_speaks_the_callers_protocol(gateway: Running) -> None:
    two = {"authorization": f"Bearer {KEY}", "x-api-key": KEY}
    spoken = await gateway.request("POST", "/mcp/bank", headers=two)
    assert spoken.status_code == 401
    assert spoken.json()["error"]["data"]["code"] == "token_invalid"
    plain = await gateway.request("POST", "/tools/bank", headers=two)
    assert plain.status_code == 401
    assert plain.json()["code"] == "token_invalid"
