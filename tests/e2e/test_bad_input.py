"""Bad input to a whole stack: refused with its code and place, nothing upstream or posted, and on record."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from schemas.ids import new_id
from tests.e2e.insider import rows
from tests.fixtures.drill import Drill

WAYS = ["treasury", "http", "mcp"]
JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
WRONG_AMOUNTS = ["0", "-1", "1.5", "1.0", "1e2", '"5"', "true", "null", "[]", "9007199254740993"]
UNPRICEABLE = [
    *(each for each in WRONG_AMOUNTS if each not in {"1.5", "1.0", "1e2"}),
    "0.001",
    "-0.0",
    "1e-3",
]


@pytest.fixture(autouse=True)
def nothing_happened(drill: Drill) -> Iterator[None]:
    """Whatever is sent here reaches no tool and leaves no row in the ledger."""
    before = (drill.upstream.requests, rows(drill.ready))
    yield
    assert (drill.upstream.requests, rows(drill.ready)) == before


def spend(**changed: Any) -> dict[str, Any]:
    body = {
        "amount_cents": 5,
        "currency": "USD",
        "purpose": "api_call",
        "payee": "vendor-1",
        "workflow_id": new_id(),
    } | changed
    return {name: value for name, value in body.items() if value is not ...}


def post(drill: Drill, way: str, arguments: bytes) -> httpx.Response:
    """The arguments as the body of a spend, of an HTTP tool, or within an MCP tool call."""
    if way == "treasury":
        return drill.client.post("/api/treasury/authorize", content=arguments, headers=JSON_HEADERS)
    if way == "http":
        return drill.client.post("/tools/shop/free", content=arguments, headers=JSON_HEADERS)
    return drill.client.post("/mcp/bank", content=mcp_call("look", arguments), headers=JSON_HEADERS)


def mcp_call(tool: str, arguments: bytes) -> bytes:
    head = b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "%b", "arguments": '
    return head % tool.encode() + arguments + b"}}"


def code_of(answer: httpx.Response) -> str:
    """The code of a refusal in either shape; AssertionError if it has neither."""
    body = answer.json()
    assert answer.headers["x-correlation-id"]
    if "jsonrpc" in body:
        return str(body["error"]["data"]["code"])
    assert body["correlation_id"] == answer.headers["x-correlation-id"]
    return str(body["code"])


def on_record(drill: Drill, answer: httpx.Response) -> str:
    """The code with which the refusal stands on the journal."""
    told = drill.client.get(f"/v1/decisions/{answer.headers['x-decision-id']}").json()
    assert (told["allow"], told["principal"]["id"]) == (False, "scout")
    return str(told["reasons"][0]["code"])


@pytest.mark.requirement("TRE-14")
@pytest.mark.requirement("TRE-01")
@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize("act", ["intents", "authorize", "execute"])
def test_an_amount_is_a_positive_integer_that_every_reader_can_hold(drill: Drill, act: str) -> None:
    whole = {"intent_id": new_id(), "recipient_account": "vendor-1"} if act == "execute" else spend()
    for amount in WRONG_AMOUNTS:
        if act == "execute" and amount == "null":
            continue  # the whole of it
        text = json.dumps(whole | {"amount_cents": "?"}).replace('"?"', amount)
        answer = drill.client.post(f"/api/treasury/{act}", content=text, headers=JSON_HEADERS)
        assert (amount, answer.status_code, code_of(answer)) == (amount, 422, "invalid")
        assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", "amount_cents"]]
        assert on_record(drill, answer) == "invalid"


@pytest.mark.requirement("TRE-01")
@pytest.mark.requirement("GW-20")
@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("amount_cents", [...]),
        ("currency", ["ZZZ", "usd", "US", "USDX", "", 5]),
        ("workflow_id", [..., "payday", "", 7, None, "01a1fe0a-cfee-7219-8943"]),
        ("purpose", [..., "", "   ", 5, None, "p" * 201]),
        ("payee", ["v" * 201, 5]),
        ("policy_version", [1.0, "v" * 101]),
        ("coupon", ["SAVE10"]),
        ("Amount_cents", [5]),
    ],
)
@pytest.mark.parametrize("act", ["intents", "authorize"])
def test_every_bad_field_is_named(drill: Drill, act: str, field: str, values: list[Any]) -> None:
    for value in values:
        answer = drill.client.post(f"/api/treasury/{act}", json=spend(**{field: value}))
        assert (value, answer.status_code, code_of(answer)) == (value, 422, "invalid")
        assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", field]]
        assert on_record(drill, answer) == "invalid"


def test_all_bad_fields_are_named_at_once(drill: Drill) -> None:
    answer = drill.client.post(
        "/api/treasury/authorize", json={"amount_cents": 0, "coupon": 1, "purpose": ""}
    )
    named = {fault["loc"][-1] for fault in answer.json()["detail"]}
    assert named == {"amount_cents", "coupon", "purpose", "workflow_id"}


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-14")
@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize("way", ["http", "mcp"])
def test_a_paid_call_with_such_an_amount_cannot_be_priced(drill: Drill, way: str) -> None:
    for amount in ["", *UNPRICEABLE]:
        arguments = f'{{"amount": {amount}}}'.encode() if amount else b"{}"
        if way == "http":
            answer = drill.client.post("/tools/shop/pay", content=arguments, headers=JSON_HEADERS)
        else:
            answer = drill.client.post("/mcp/bank", content=mcp_call("pay", arguments), headers=JSON_HEADERS)
        assert (amount, answer.status_code) == (amount, 403 if way == "http" else 200)
        assert code_of(answer) == on_record(drill, answer) == "call_unpriceable"


NOT_STRICT = {
    "invalid UTF-8": b'{"a": "\xff"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice, once escaped": b'{"amount": 1, "amoun\\u0074": 2}',
    "a key twice, deep down": b'{"a": [{"b": {"c": 1, "c": 2}}]}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "minus Infinity": b'{"a": -Infinity}',
    "a number out of range": b'{"a": 1e400}',
    "an integer of 400 digits": b'{"a": ' + b"9" * 400 + b"}",
    "a lone surrogate": b'{"a": "\\ud800"}',
    "arrays 10,000 deep": b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "objects 10,000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "open arrays": b'{"a": ' + b"[" * 10_000,
    "two documents": b'{"a": 1} {"a": 2}',
    "a comment": b'{"a": 1 /* one */}',
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "half a document": b'{"a": ',
    "a control character": b'{"a": "\x01"}',
}


@pytest.mark.requirement("GW-13")
@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize("way", WAYS)
def test_json_that_two_readers_could_take_differently_is_malformed(drill: Drill, way: str) -> None:
    for name, text in NOT_STRICT.items():
        answer = post(drill, way, text)
        assert (name, answer.status_code, code_of(answer)) == (name, 400, "malformed")
        assert on_record(drill, answer) == "malformed"


@pytest.mark.requirement("GW-13")
@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_over_the_limit(drill: Drill, way: str, chunked: bool) -> None:
    text = b'{"a": "%b"}' % (b"x" * 65_536)
    path = {"treasury": "/api/treasury/authorize", "http": "/tools/shop/free", "mcp": "/mcp/bank"}[way]
    content: Any = iter([text[:40_000], text[40_000:]]) if chunked else text
    answer = drill.client.post(path, content=content, headers=JSON_HEADERS)
    assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
    assert on_record(drill, answer) == "body_too_large"


@pytest.mark.requirement("GW-13")
def test_a_body_over_the_limit_that_is_not_json(drill: Drill) -> None:
    for content in (b"x" * 262_145, iter([b"x" * 200_000, b"x" * 62_145])):
        headers = {"Content-Type": "application/octet-stream"}
        answer = drill.client.post("/tools/shop/free", content=content, headers=headers)
        assert (answer.status_code, code_of(answer)) == (413, "body_too_large")


BAD_MESSAGES = [
    (b"[]", -32600),
    (b"{}", -32600),
    (b'[{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}]', -32600),
    (b'{"jsonrpc": "1.0", "id": 1, "method": "tools/call"}', -32600),
    (b'{"jsonrpc": "2.0", "id": 1.5, "method": "tools/call"}', -32600),
    (b'{"jsonrpc": "2.0", "id": null, "method": "tools/call"}', -32600),
    (b'{"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "pay"}}', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "Tools/Call", "params": {"name": "pay"}}', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}', -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5}}', -32602),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay", "Name": "x"}}', -32602),
    (
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay", "arguments": []}}',
        -32602,
    ),
]


@pytest.mark.requirement("GW-05")
@pytest.mark.requirement("AUD-01")
def test_an_mcp_message_that_cannot_be_judged(drill: Drill) -> None:
    for text, rpc_code in BAD_MESSAGES:
        answer = drill.client.post("/mcp/bank", content=text, headers=JSON_HEADERS)
        assert (text, answer.status_code, answer.json()["error"]["code"]) == (text, 400, rpc_code)
        assert code_of(answer) == on_record(drill, answer) == "malformed"


@pytest.mark.requirement("GW-02")
@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize("way", WAYS)
def test_who_is_not_known_learns_nothing_more(drill: Drill, way: str) -> None:
    for shown, code in (
        ("", "token_missing"),
        ("Bearer nobody", "token_invalid"),
        ("Basic x", "token_invalid"),
    ):
        headers = {"Authorization": shown, **JSON_HEADERS} if shown else JSON_HEADERS
        path = {"treasury": "/api/treasury/authorize", "http": "/tools/shop/free", "mcp": "/mcp/bank"}[way]
        answer = httpx.post(drill.ready["gateway"] + path, content=b"\xff", headers=headers)
        assert (answer.status_code, code_of(answer)) == (401, code)
        assert "x-decision-id" not in answer.headers
