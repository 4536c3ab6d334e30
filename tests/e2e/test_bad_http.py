"""Broken HTTP, byte for byte, against a whole stack; and upstreams that answer badly."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.insider import rows
from tests.fixtures.drill import Drill
from tests.fixtures.stack import wait_for


def raw(drill: Drill, request: bytes) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of the first answer to these very bytes; KEY stands for the agent's."""
    address = urlsplit(drill.ready["gateway"])
    request = request.replace(b"KEY", drill.ready["agents"]["scout"].encode())
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request)
        stream = connection.makefile("rb")
        status = int(stream.readline().split(b" ")[1])
        headers = {}
        while line := stream.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers, json.loads(stream.read(int(headers["content-length"])))


AUTH = b"Host: 127.0.0.1\r\nAuthorization: Bearer KEY\r\n"
GET = b"GET /tools/shop/free HTTP/1.1\r\n" + AUTH
POST = b"POST /tools/shop/free HTTP/1.1\r\nContent-Type: text/plain\r\n" + AUTH
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a length in hex": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "another coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked and identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip and chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": GET + b"Host: h\r\n\r\n",
    "the same host twice": GET + b"Host: 127.0.0.1\r\n\r\n",
    "no host": GET.replace(b"Host: 127.0.0.1\r\n", b"") + b"\r\n",
    "an empty host": GET.replace(b"Host: 127.0.0.1", b"Host:") + b"\r\n",
    "a folded header": GET + b"X-Note: one\r\n two\r\n\r\n",
    "a header folded by a tab": GET + b"X-Note: one\r\n\ttwo\r\n\r\n",
    "bare line feeds": GET.replace(b"\r\n", b"\n") + b"\n",
    "one bare line feed": GET + b"X-Note: one\nX-Other: two\r\n\r\n",
    "a bare carriage return": GET + b"X-Note: one\rX-Other: two\r\n\r\n",
    "a blank before the colon": GET + b"X-Note : one\r\n\r\n",
    "a blank before the name": GET + b" X-Note: one\r\n\r\n",
    "NUL in a value": GET + b"X-Note: o\x00ne\r\n\r\n",
    "NUL in a name": GET + b"X-No\x00te: one\r\n\r\n",
    "a header without a colon": GET + b"X-Note\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size that is none": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "a chunk size out of range": CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk extension with a bare line feed": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "a chunk extension with a control character": CHUNKED + b"3;a=\x01\r\nabc\r\n0\r\n\r\n",
    "a chunk extension with a bare return": CHUNKED + b"3;a\rX\r\nabc\r\n0\r\n\r\n",
    "another version": GET.replace(b"HTTP/1.1", b"HTTP/3.0") + b"\r\n",
    "a method that is none": GET.replace(b"GET", b"G@T") + b"\r\n",
    "a tunnel": b"CONNECT bank:443 HTTP/1.1\r\n" + AUTH + b"\r\n",
    "an upgrade": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "another place": GET.replace(b"/tools", b"http://bank/tools") + b"\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.requirement("GW-13")
@pytest.mark.requirement("GW-20")
def test_a_request_that_can_be_read_in_two_ways_is_read_in_none(drill: Drill) -> None:
    before = (drill.upstream.requests, rows(drill.ready))
    for name, request in BROKEN.items():
        status, headers, body = raw(drill, request)
        assert (name, status, body["code"]) == (name, 400, "malformed")
        assert headers["content-type"] == "application/json"
        assert headers["x-correlation-id"] == body["correlation_id"]
    assert (drill.upstream.requests, rows(drill.ready)) == before


TWISTED = [
    "shop/../shop/free",
    "shop/x/../free",
    "shop/./free",
    "shop/free/..",
    "shop//free",
    "/shop/free",
    "shop/%2e%2e/free",
    "shop/%2E./free",
    "shop/..%2ffree",
    "shop/x%2ffree",
    "shop/x%2Ffree",
    "shop/x%5cfree",
    "shop/x\\free",
    "shop/x%00",
    "shop/x%252e",
    "shop/free;x=1",
    "shop/free%3bx",
    "shop/%c0%ae%c0%ae/free",
    "shop/free%0d%0aX:%20y",
    "shop%2ffree",
    "../api/treasury/holds",
    "..%2fapi",
    "shop/free?a=1&a=2",
    "shop/free?a=1&%61=2",
]


@pytest.mark.requirement("GW-04")
@pytest.mark.requirement("GW-13")
@pytest.mark.requirement("AUD-01")
def test_a_path_that_two_servers_could_read_differently(drill: Drill) -> None:
    before = drill.upstream.requests
    for path in TWISTED:
        status, headers, body = raw(drill, f"GET /tools/{path} HTTP/1.1\r\n".encode() + AUTH + b"\r\n")
        assert (path, status, body["code"]) == (path, 400, "malformed")
        told = drill.client.get(f"/v1/decisions/{headers['x-decision-id']}").json()
        assert (told["allow"], told["reasons"][0]["code"]) == (False, "malformed")
    assert drill.upstream.requests == before


@pytest.mark.requirement("GW-05")
@pytest.mark.requirement("GW-13")
def test_a_twisted_path_finds_no_mcp_server_and_no_treasury(drill: Drill) -> None:
    before = drill.upstream.requests
    for path in (
        "/mcp/../mcp/bank",
        "/mcp//bank",
        "/mcp/bank/",
        "/mcp/%62ank",
        "/mcp/bank%2f",
        "/mcp/shop",
        "/api/treasury/../treasury/authorize",
        "/api//treasury/authorize",
        "/api/treasury/%61uthorize",
        "/api/treasury/authorize/",
        "/api/treasury/accounts/..%2f..%2fholds/statement/x",
    ):
        status, headers, body = raw(
            drill, f"POST {path} HTTP/1.1\r\n".encode() + AUTH + b"Content-Length: 2\r\n\r\n{}"
        )
        code = body["error"]["data"]["code"] if "jsonrpc" in body else body["code"]
        assert (path, status, code) == (path, 404, "not_found")
        if path.startswith("/mcp"):
            told = drill.client.get(f"/v1/decisions/{headers['x-decision-id']}").json()
            assert told["allow"] is False
    assert drill.upstream.requests == before


MISBEHAVED = [
    ("hang", 504, "upstream_timeout"),
    ("cut", 502, "upstream_unreachable"),
    ("garbage", 502, "upstream_invalid"),
]


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(("how", "status", "code"), MISBEHAVED)
def test_a_paid_tool_that_answers_badly_keeps_its_hold_as_unknown(
    drill: Drill, how: str, status: int, code: str
) -> None:
    over_http = drill.client.post(f"/tools/shop/{how}", json={"n": f"http-{how}"})
    assert (over_http.status_code, over_http.json()["code"]) == (status, code)
    over_mcp = drill.client.post("/mcp/bank", json=mcp_call(how, n=f"mcp-{how}"))
    assert over_mcp.status_code == 200
    assert over_mcp.json()["error"]["code"] == -32603
    assert over_mcp.json()["error"]["data"]["code"] == code
    for answer, nonce in ((over_http, f"http-{how}"), (over_mcp, f"mcp-{how}")):
        decision_id = answer.headers["x-decision-id"]
        assert held_as_unknown(drill, decision_id)
        assert drill.client.get(f"/v1/decisions/{decision_id}").json()["outcome"] == "unknown"
        assert drill.upstream.came[nonce] == 1


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-04")
def test_an_answer_that_breaks_off_breaks_off_and_keeps_its_hold(drill: Drill) -> None:
    headers = {"Authorization": f"Bearer {drill.ready['agents']['scout']}"}
    url = drill.ready["gateway"] + "/tools/shop/half"
    with (
        httpx.Client(headers=headers) as client,
        client.stream("POST", url, json={"n": "half"}) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()
    decision_id = answer.headers["x-decision-id"]
    wait_for(lambda: held_as_unknown(drill, decision_id), 5.0, "the hold to be unknown")
    assert drill.upstream.came["half"] == 1


def mcp_call(tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def held_as_unknown(drill: Drill, decision_id: str) -> bool:
    """Whether the hold of this decision is listed as unknown; a paid call's intent has its decision's id."""
    holds = drill.client.get("/api/treasury/holds?status=unknown&limit=200").json()["items"]
    return decision_id in {hold["intent_id"] for hold in holds}
