"""What counts as one MCP message, what a server could take otherwise, and how an answer ends a call."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import mcp_message
from gateway.core.mcp_message import BadMessage, Message
from gateway.errors import Denied, Unauthenticated, Unavailable

pytestmark = pytest.mark.requirement("GW-05")

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay", "arguments": {"a": 1}}}


def read(document: Any) -> Message:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return mcp_message.read(text, 64)


def test_a_tool_call() -> None:
    message = read(CALL)
    assert message.is_tool_call
    assert (message.id, message.tool, message.arguments) == (1, "pay", {"a": 1})


def test_absent_arguments_are_none() -> None:
    assert read(CALL | {"params": {"name": "pay"}}).arguments == {}


@pytest.mark.parametrize(
    "document",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "x", "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {}}},
        {"jsonrpc": "2.0", "id": 1, "method": "unheard/of", "params": {"Name": 1}},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}},
    ],
)
def test_everything_else_is_not_judged(document: dict[str, Any]) -> None:
    assert not read(document).is_tool_call


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    ("document", "rpc_code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}', -32700),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 100 + b"1" + b"}" * 101, -32700),
        ([CALL], -32600),
        ([], -32600),
        ("tools/call", -32600),
        (CALL | {"jsonrpc": "1.0"}, -32600),
        ({"id": 1, "method": "ping"}, -32600),
        (CALL | {"id": None}, -32600),
        (CALL | {"id": True}, -32600),
        (CALL | {"id": 1.5}, -32600),
        (CALL | {"id": [1]}, -32600),
        (CALL | {"Method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "Method": "tools/call"}, -32600),
        ({"jsonrpc": "2.0", "id": 1}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}}, -32600),
        (CALL | {"result": {}}, -32600),
        (CALL | {"method": 5}, -32600),
        (CALL | {"method": "Tools/Call"}, -32600),
        (CALL | {"method": " tools/call\n"}, -32600),
        (CALL | {"method": "tool\u017f/call"}, -32600),
        (CALL | {"params": ["pay"]}, -32600),
        ({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "pay"}}, -32600),
        (CALL | {"params": {}}, -32602),
        (CALL | {"params": {"name": ""}}, -32602),
        (CALL | {"params": {"name": 1}}, -32602),
        (CALL | {"params": {"name": "pay", "Name": "steal"}}, -32602),
        (CALL | {"params": {"name": "pay", "arguments": {}, "argument\u017f": {}}}, -32602),
        (CALL | {"params": {"name": "pay", "arguments": [1]}}, -32602),
        (CALL | {"params": {"name": "pay", "arguments": None}}, -32602),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(document: Any, rpc_code: int) -> None:
    with pytest.raises(BadMessage) as caught:
        read(document)
    assert caught.value.rpc_code == rpc_code


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (None, None),
        (b"tools/call", None),
        (b"tools/call", b"pay"),
        (None, b"pay"),
        (b"tools/call", b"=?base64?" + base64.b64encode(b"pay") + b"?="),
    ],
)
def test_headers_that_say_what_the_body_says(method: bytes | None, name: bytes | None) -> None:
    mcp_message.check_headers(read(CALL), method, name)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (b"tools/list", b"pay"),
        (b"Tools/call", b"pay"),
        (b"tools/call", b"Pay"),
        (b"tools/call", b"pay "),
        (b"tools/call", b""),
        (b"tools/call", b"=?base64?cGF5?=x"),
        (b"tools/call", b"=?base64?cGF5Cg==?="),
        (b"tools/call", b"=?base64?cGF6?="),
        (b"tools/call", b"=?base64?*?="),
        (b"tools/call", b"=?base64?/w==?="),
    ],
)
def test_headers_that_say_otherwise(method: bytes, name: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        mcp_message.check_headers(read(CALL), method, name)
    assert caught.value.rpc_code == -32020
    assert caught.value.id == 1


def test_non_ascii_names_come_encoded() -> None:
    message = read(CALL | {"params": {"name": "zahlen-für"}})
    mcp_message.check_headers(message, None, b"=?base64?" + base64.b64encode("zahlen-für".encode()) + b"?=")
    resource = read({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "a://b"}})
    with pytest.raises(BadMessage):
        mcp_message.check_headers(resource, b"resources/read", b"a://c")


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ({"id": 1, "result": {"content": []}}, "succeeded"),
        ({"id": 1, "result": {"isError": False}}, "succeeded"),
        ({"id": 1, "result": {"isError": True}}, "failed"),
        ({"id": 1, "result": {"resultType": "input_required"}}, "failed"),
        ({"id": 1, "error": {"code": -1, "message": "no"}}, "failed"),
        ({"id": 1, "result": "odd"}, "unknown"),
        ({"id": 1}, "unknown"),
        ({"id": 2, "result": {}}, None),
        ({"id": "1", "result": {}}, None),
        ({"id": True, "result": {}}, None),
        ({"id": 1.0, "result": {}}, None),
        ({"id": 1, "method": "sampling/createMessage"}, None),
        ({"method": "notifications/progress"}, None),
        ([{"id": 1, "result": {}}], None),
    ],
)
def test_how_an_answer_ends_a_call(answer: Any, ending: str | None) -> None:
    assert mcp_message.ending(json.dumps(answer).encode(), 1) == ending


@given(st.binary(max_size=60))
def test_garbage_ends_nothing(garbage: bytes) -> None:
    assert mcp_message.ending(garbage, "an id that no garbage has") is None


def test_refusals_in_json_rpc() -> None:
    denied = Denied("tool_not_allowed", "no", reasons=({"code": "tool_not_allowed", "message": "no"},))
    denied.decision_id = "d"
    said = mcp_message.refusal(denied, 7, None)
    assert said["id"] == 7
    assert said["error"]["code"] == -32001
    assert said["error"]["data"] == {
        "code": "tool_not_allowed",
        "decision_id": "d",
        "reasons": ({"code": "tool_not_allowed", "message": "no"},),
    }
    gone = mcp_message.refusal(Unavailable("policy_unavailable", "gone"), 7, None)
    assert gone["error"]["code"] == -32603
    unknown = mcp_message.refusal(Unauthenticated("token_missing", "who?"), None, None)
    assert (unknown["id"], unknown["error"]["code"]) == (None, -32001)
