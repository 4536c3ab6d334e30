"""HTTP tools through a gateway that listens, with real OPA, a real journal and a real tool server."""

import asyncio
import json
from collections.abc import AsyncIterator

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
    assert "its Content-Type is not application/json" in opaque.json()["detail"]
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
