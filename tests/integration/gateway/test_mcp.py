"""MCP on the wire: what is judged, what passes, what waits for the money to be settled, what is refused."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.http1 import Headers
from gateway.config import Settings
from gateway.core.classify import Server
from gateway.core.identify import Credential, Principal
from gateway.core.price import table
from gateway.edge import mcp
from gateway.edge.ingress import Request
from gateway.edge.upstream import Upstream as WayOut
from gateway.errors import BadRequest, Refusal, Unauthenticated, Unavailable
from tests.integration.gateway import upstream
from tests.integration.gateway.upstream import Upstream
from tests.unit.gateway.test_pipeline import FREE, PAID, PRICE, REFUSED, SCOUT, World

pytestmark = pytest.mark.requirement("GW-05")

PRICES = table(
    {
        "revision": "r",
        "currency": "USD",
        "roles": {"executor": {"tools": {"bank.pay": PRICE}, "patterns": []}},
    }
)
PAY = {"name": "pay", "arguments": {"amount": 5}}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": PAY}
DONE = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
FAILED = b'{"jsonrpc":"2.0","id":1,"result":{"isError":true}}'
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress"}'


@dataclass
class Wire(World):
    """The ports of the gate, a real way out, and an ASGI caller. `events` holds what went out, too."""

    url: str = ""
    folder: Path = Path()
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False

    async def identify(self, credential: Credential) -> Principal:
        if credential.bearer != "key":
            raise Unauthenticated("token_missing", "who are you?")
        return SCOUT

    def server(self, name: str) -> Server:
        if name not in {"bank", "shop"}:
            raise BadRequest("not_found", "no such server")
        return Server(name, "http" if name == "shop" else "mcp", self.url)

    async def ask(
        self,
        document: Any = CALL,
        *,
        method: str = "POST",
        path: bytes = b"/mcp/bank",
        query: bytes = b"",
        headers: Headers | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        """Send one request through the gate; answers the JSON of the answer, if it is JSON."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        known = Settings(registry_file=Path("r"), journal_dir=self.folder, **settings)
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path,
            "query_string": query,
            "headers": [
                (b"host", b"127.0.0.1:8700"),
                (b"authorization", b"Bearer key"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *(headers or []),
            ],
        }
        scope["headers"] = list({name: (name, value) for name, value in scope["headers"]}.values())

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        way_out = WayOut(known)
        gate = replace(self.gate(), settings=known, upstreams=way_out)
        request = Request(scope, receive, self.take_message, known)
        request.check()
        await mcp.handle(gate, request)
        await way_out.aclose()
        assert self.ended
        is_json = self.headers.get("content-type") == "application/json"
        return dict(json.loads(self.body)) if is_json and self.body else {}

    async def take_message(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.body, self.ended = b"", False
        else:
            self.body += message["body"]
            self.ended = not message["more_body"]
            self.events.append(f"out {message['body'].decode()}".strip())


@pytest.fixture
async def tool() -> AsyncIterator[Upstream]:
    async with upstream.listening() as server:
        yield server


@pytest.fixture
def wire(tool: Upstream, tmp_path: Path) -> Wire:
    return Wire(url=f"{tool.url}/mcp", folder=tmp_path)


def json_answer(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
        status,
        more,
        len(body),
        body,
    )


def event_answer(*events: bytes) -> bytes:
    body = b"".join(b"event: message\ndata: %b\n\n" % event for event in events)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("name", ["json", "events"])
async def test_an_allowed_call_comes_back_as_it_was_answered(wire: Wire, tool: Upstream, name: str) -> None:
    tool.answers(json_answer(DONE) if name == "json" else event_answer(PROGRESS, DONE))
    await wire.ask()
    assert wire.status == 200
    assert wire.headers["x-decision-id"]
    assert DONE in wire.body
    assert json.loads(tool.requests[0].body) == CALL
    assert (tool.requests[0].method, tool.requests[0].target) == ("POST", "/mcp")
    assert tool.requests[0].header("authorization") is None
    assert wire.records[-1]["outcome"] == "succeeded"
    assert wire.records[0]["action"]["name"] == "bank.pay"


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    ("answer", "act"),
    [
        (json_answer(DONE), "capture"),
        (json_answer(FAILED), "void"),
        (json_answer(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}'), "void"),
        (json_answer(b"{}", b"500 Broken"), "void"),
        (event_answer(PROGRESS, DONE), "capture"),
        (event_answer(FAILED), "void"),
        (event_answer(PROGRESS), "unknown"),
        (json_answer(b'{"jsonrpc":"2.0","id":2,"result":{}}'), "unknown"),
        (json_answer(b"garbage"), "unknown"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok", "unknown"),
        (b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", "unknown"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n", "unknown"),
        (b"HTTP/1.1 401 No\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\n\r\n", "void"),
        (b"not HTTP at all\r\n\r\n", "unknown"),
    ],
)
async def test_a_paid_call_is_settled_by_its_answer_before_the_answer_is_seen(
    wire: Wire, tool: Upstream, answer: bytes, act: str
) -> None:
    wire.verdicts, wire.prices = [PAID], [PRICES]
    tool.answers(answer)
    await wire.ask()
    settled = wire.events.index(f"settle {act}")
    completed = wire.events.index("completed")
    last_out = max(number for number, event in enumerate(wire.events) if event.startswith("out"))
    assert settled < completed < last_out
    shown = [number for number, event in enumerate(wire.events) if '"result"' in event or '"error"' in event]
    assert all(number > completed for number in shown)


@pytest.mark.requirement("GW-10")
async def test_a_price_that_a_tool_could_read_otherwise_is_not_paid(wire: Wire, tool: Upstream) -> None:
    wire.verdicts, wire.prices = [PAID], [PRICES]
    twins = {"name": "pay", "arguments": {"amount": 5, "Amount": 5000}}
    answer = await wire.ask(CALL | {"params": twins})
    assert answer["error"]["data"]["code"] == "call_unpriceable"
    assert tool.requests == []


@pytest.mark.requirement("GW-10")
async def test_a_body_that_breaks_off_leaves_the_hold_unknown_and_says_so(wire: Wire, tool: Upstream) -> None:
    wire.verdicts, wire.prices = [PAID], [PRICES]

    async def broken(_seen: Any, writer: Any) -> None:
        writer.write(event_answer(PROGRESS)[:-7])
        await writer.drain()
        writer.close()

    tool.answer = broken
    await wire.ask()
    assert "settle unknown" in wire.events
    assert b'"code":-32603' in wire.body
    assert PROGRESS in wire.body


async def test_a_refusal_is_json_rpc_with_status_200_and_nothing_goes_out(wire: Wire, tool: Upstream) -> None:
    wire.verdicts = [REFUSED]
    answer = await wire.ask()
    assert (wire.status, answer["id"], answer["error"]["code"]) == (200, 1, -32001)
    assert answer["error"]["data"]["code"] == "tool_not_allowed"
    assert answer["error"]["data"]["decision_id"] == wire.headers["x-decision-id"]
    assert tool.requests == []
    assert wire.records[0]["allow"] is False


@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize("code", ["policy_unavailable", "treasury_unavailable", "journal_unavailable"])
async def test_what_is_unavailable_is_an_internal_error(wire: Wire, tool: Upstream, code: str) -> None:
    gone: Refusal = Unavailable(code, "gone")
    wire.verdicts = [gone]
    answer = await wire.ask()
    assert (wire.status, answer["error"]["code"], answer["error"]["data"]["code"]) == (200, -32603, code)
    assert tool.requests == []


async def test_an_upstream_that_is_not_there(wire: Wire) -> None:
    wire.url = "http://127.0.0.1:1/mcp"
    answer = await wire.ask()
    assert (wire.status, answer["error"]["data"]["code"]) == (200, "upstream_unreachable")


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_every_request_needs_a_credential(wire: Wire, tool: Upstream, method: str) -> None:
    answer = await wire.ask(method=method, headers=[(b"authorization", b"Bearer other")])
    assert (wire.status, answer["error"]["data"]["code"]) == (401, "token_missing")
    assert wire.headers["www-authenticate"] == "Bearer"
    assert tool.requests == []
    assert wire.records == []


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    ("document", "headers", "status", "rpc_code"),
    [
        ([CALL], [], 400, -32600),
        (b"{", [], 400, -32700),
        (b"\xff", [], 400, -32700),
        (CALL, [(b"mcp-method", b"tools/list")], 400, -32020),
        (CALL, [(b"mcp-name", b"Pay")], 400, -32020),
        (CALL, [(b"content-type", b"text/plain")], 400, -32600),
        (CALL, [(b"content-type", b"application/json; charset=latin-1")], 400, -32600),
        (CALL, [(b"content-encoding", b"gzip")], 400, -32600),
        (CALL, [(b"mcp-session-id", b"stolen")], 404, -32600),
        (b" " * 2_000_000, [], 413, -32600),
    ],
)
async def test_what_is_malformed_keeps_its_own_status_and_is_on_record(
    wire: Wire, tool: Upstream, document: Any, headers: Headers, status: int, rpc_code: int
) -> None:
    answer = await wire.ask(document, headers=headers)
    assert (wire.status, answer["error"]["code"]) == (status, rpc_code)
    assert tool.requests == []
    assert [record["allow"] for record in wire.records] == [False]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (b"/mcp/shop", "GET", 404),
        (b"/mcp/nowhere", "DELETE", 404),
        (b"/mcp/bank", "PUT", 405),
        (b"/mcp", "POST", 404),
    ],
)
async def test_routes_that_are_not_there(wire: Wire, path: bytes, method: str, status: int) -> None:
    await wire.ask(path=path, method=method)
    assert wire.status == status


@pytest.mark.parametrize(("path", "target"), [("", "/"), ("/", "/"), ("/mcp", "/mcp"), ("/mcp/", "/mcp/")])
async def test_the_servers_own_path_is_called_as_it_was_registered(
    wire: Wire, tool: Upstream, path: str, target: str
) -> None:
    wire.url = tool.url + path
    tool.answers(json_answer(DONE))
    await wire.ask()
    assert tool.requests[0].target == target


@pytest.mark.parametrize("path", [b"/mcp/shop", b"/mcp/nowhere"])
async def test_a_server_that_is_not_there_is_told_in_the_callers_protocol(
    wire: Wire, tool: Upstream, path: bytes
) -> None:
    answer = await wire.ask(path=path)
    assert (wire.status, answer["id"], answer["error"]["code"]) == (200, 1, -32001)
    assert answer["error"]["data"]["code"] == "not_found"
    assert [record["allow"] for record in wire.records] == [False]
    assert tool.requests == []


@pytest.mark.requirement("AUD-01")
async def test_a_workflow_that_is_no_uuid_is_named_in_data_and_on_record(wire: Wire, tool: Upstream) -> None:
    answer = await wire.ask(headers=[(b"x-workflow-id", b"payday")])
    assert (wire.status, answer["id"], answer["error"]["code"]) == (200, 1, -32001)
    data = answer["error"]["data"]
    assert (data["code"], data["detail"][0]["loc"]) == ("invalid", ["header", "X-Workflow-Id"])
    assert answer["error"]["message"] == "the request is not valid"
    assert wire.records[0]["decision_id"] == data["decision_id"]
    assert tool.requests == []


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_nothing_goes_on_in_a_query(wire: Wire, tool: Upstream, method: str) -> None:
    answer = await wire.ask(method=method, query=b"tool=pay")
    assert (wire.status, answer["error"]["data"]["code"]) == (400, "malformed")
    assert [record["allow"] for record in wire.records] == [False]
    assert tool.requests == []


@pytest.mark.parametrize("document", [b'{"jsonrpc":"2.0","id":"a","method":"tools/list"}', PROGRESS])
async def test_what_is_not_judged_passes_byte_for_byte(wire: Wire, tool: Upstream, document: bytes) -> None:
    tool.answers(json_answer(b"{ }", more=b"x-other: kept\r\nset-cookie: a=b\r\nx-decision-id: forged\r\n"))
    given: Headers = [(b"mcp-method", json.loads(document)["method"].encode()), (b"last-event-id", b"7")]
    await wire.ask(document, headers=given)
    assert (wire.status, wire.body) == (200, b"{ }")
    assert tool.requests[0].body == document
    assert tool.requests[0].header("last-event-id") == "7"
    assert tool.requests[0].header("mcp-method") == given[0][1].decode()
    assert wire.headers["x-other"] == "kept"
    assert not {"set-cookie", "x-decision-id"} & wire.headers.keys()
    assert wire.records == []


async def test_the_servers_session_is_sealed_and_opened_again(wire: Wire, tool: Upstream) -> None:
    tool.answers(json_answer(b"{}", more=b"Mcp-Session-Id: inner\r\n"))
    await wire.ask({"jsonrpc": "2.0", "id": 1, "method": "initialize"})
    sealed = wire.headers["mcp-session-id"]
    assert sealed.startswith("inner.")
    tool.answers(json_answer(DONE))
    await wire.ask(headers=[(b"mcp-session-id", sealed.encode())])
    assert tool.requests[-1].header("mcp-session-id") == "inner"


@pytest.mark.parametrize(
    ("headers", "settings", "status"),
    [
        ([(b"host", b"evil.example")], {}, 403),
        ([(b"host", b"localhost:1")], {}, 200),
        ([(b"host", b"[::1]:1")], {}, 200),
        ([(b"host", b"gate.local")], {"mcp_hosts": ("gate.local",)}, 200),
        ([(b"host", b"gate.local")], {"host": "0.0.0.0"}, 200),
        ([(b"host", b"other.local")], {"host": "0.0.0.0", "mcp_hosts": ("gate.local",)}, 403),
        ([(b"origin", b"http://evil.example")], {}, 403),
        ([(b"origin", b"null")], {}, 403),
        ([(b"origin", b"http://app.local")], {"mcp_origins": ("http://app.local",)}, 200),
    ],
)
async def test_web_pages_must_be_invited(
    wire: Wire, tool: Upstream, headers: Headers, settings: dict[str, Any], status: int
) -> None:
    tool.answers(json_answer(DONE))
    await wire.ask(headers=headers, **settings)
    assert wire.status == status
    assert len(tool.requests) == (status == 200)


async def test_free_calls_end_like_paid_ones_on_record(wire: Wire, tool: Upstream) -> None:
    wire.verdicts = [FREE]
    tool.answers(json_answer(FAILED))
    await wire.ask()
    assert wire.records[-1]["outcome"] == "failed"
