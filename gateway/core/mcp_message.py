"""One JSON-RPC message as MCP has it: read once, strictly, so that gateway and tool server see the same.

A server may be laxer than the gateway: some JSON readers match the names of members without regard to
case, some routers trim a method. Whatever such a reader could take for a tool call, and this one not, is
refused: names that differ only in case, members that JSON-RPC does not have, a method that is `tools/call`
but for case or blanks. A tool call without an id would be done and never answered: refused.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.core.permit import Ending
from gateway.errors import Refusal
from schemas import strict_json

TOOL_CALL: Final = "tools/call"
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
DENIED: Final = -32001
HEADER_MISMATCH: Final = -32020

Id = int | str | None

_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_NAMED_BY: Final = {TOOL_CALL: "name", "prompts/get": "name", "resources/read": "uri"}
_ENCODED = re.compile(r"=\?base64\?(.*)\?=")


class BadMessage(ValueError):
    """Not a message that can be judged; `rpc_code` is JSON-RPC's code for it, `id` the message's if known."""

    def __init__(self, rpc_code: int, why: str, id_: Id = None) -> None:
        super().__init__(why)
        self.rpc_code = rpc_code
        self.id = id_


@dataclass(frozen=True, slots=True)
class Message:
    """A request (it has a method and an id), a notification (a method alone) or a response (no method)."""

    id: Id
    method: str | None
    params: dict[str, Any]

    @property
    def is_tool_call(self) -> bool:
        """Whether this is what the gate judges."""
        return self.method == TOOL_CALL

    @property
    def tool(self) -> str:
        """The tool's name, exactly as it was sent."""
        name: str = self.params["name"]
        return name

    @property
    def arguments(self) -> dict[str, Any]:
        """The tool's arguments; absent ones are none."""
        arguments: dict[str, Any] = self.params.get("arguments", {})
        return arguments


def read(body: bytes, depth_max: int) -> Message:
    """The one message that a body holds. Raises `BadMessage`."""
    try:
        document = strict_json.read(body, depth_max)
    except strict_json.NotStrictJSON as error:
        raise BadMessage(PARSE_ERROR, f"the body is not strict JSON: {error}") from None
    if isinstance(document, list):
        raise BadMessage(INVALID_REQUEST, "batches are not part of this protocol: send one message")
    if not isinstance(document, dict) or document.get("jsonrpc") != "2.0":
        raise BadMessage(INVALID_REQUEST, "the body is not a JSON-RPC 2.0 message")
    id_ = _id(document)
    if not document.keys() <= _MEMBERS:
        raise BadMessage(INVALID_REQUEST, "the message has members that JSON-RPC does not know", id_)
    if "method" not in document:
        return _response(document, id_)
    return _request(document, id_)


def _id(document: dict[str, Any]) -> Id:
    if "id" not in document:
        return None
    id_ = document["id"]
    if isinstance(id_, bool) or not isinstance(id_, int | str):
        raise BadMessage(INVALID_REQUEST, "the id of a message is a string or an integer")
    return id_


def _response(document: dict[str, Any], id_: Id) -> Message:
    if ("result" in document) == ("error" in document) or "params" in document:
        raise BadMessage(INVALID_REQUEST, "the message is neither a request nor a response", id_)
    return Message(id_, None, {})


def _request(document: dict[str, Any], id_: Id) -> Message:
    method, params = document["method"], document.get("params", {})
    if not isinstance(method, str) or "result" in document or "error" in document:
        raise BadMessage(INVALID_REQUEST, "the message is neither a request nor a response", id_)
    if not isinstance(params, dict):
        raise BadMessage(INVALID_REQUEST, "params must be an object", id_)
    if method == TOOL_CALL:
        _check_tool_call(params, id_)
    elif method.strip().casefold() == TOOL_CALL:
        raise BadMessage(INVALID_REQUEST, "the method looks like tools/call and is not", id_)
    return Message(id_, method, params)


def _check_tool_call(params: dict[str, Any], id_: Id) -> None:
    if id_ is None:
        raise BadMessage(INVALID_REQUEST, "a tool call needs an id: it would never be answered")
    if len({name.casefold() for name in params}) != len(params):
        raise BadMessage(INVALID_PARAMS, "two members of params differ only in case", id_)
    if not isinstance(params.get("name"), str) or not params["name"]:
        raise BadMessage(INVALID_PARAMS, "params.name must be the tool's name", id_)
    if not isinstance(params.get("arguments", {}), dict):
        raise BadMessage(INVALID_PARAMS, "params.arguments must be an object", id_)


def check_headers(message: Message, method: bytes | None, name: bytes | None) -> None:
    """Where `Mcp-Method` and `Mcp-Name` are given they say what the body says. Raises `BadMessage`."""
    if method is not None and method.decode("latin-1") != message.method:
        raise BadMessage(HEADER_MISMATCH, "Mcp-Method is not the method of the body", message.id)
    if name is None:
        return
    member = _NAMED_BY.get(message.method or "")
    if member is not None and _header_text(name) != message.params.get(member):
        raise BadMessage(HEADER_MISMATCH, "Mcp-Name is not the name in the body", message.id)


def _header_text(value: bytes) -> str | None:
    """A header's text, out of its `=?base64?…?=` wrapping if it has one; None if that is not canonical."""
    text = value.decode("latin-1")
    encoded = _ENCODED.fullmatch(text)
    if encoded is None:
        return text
    try:
        decoded = base64.b64decode(encoded[1], validate=True)
        if base64.b64encode(decoded).decode() != encoded[1]:
            return None
        return decoded.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def ending(answer: bytes, id_: Id) -> Ending | None:
    """How the call with this id ended, as one message from its server tells; None if it does not.

    A result with `isError` and an error are certain failures, and so is a result that asks for more input
    first: the call will come again.
    """
    try:
        document = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    if (
        not isinstance(document, dict)
        or "method" in document
        or type(document.get("id")) is not type(id_)
        or document.get("id") != id_
    ):
        return None
    result = document.get("result")
    if isinstance(result, dict):
        incomplete = result.get("resultType", "complete") == "input_required"
        return "failed" if result.get("isError") is True or incomplete else "succeeded"
    return "failed" if "error" in document else "unknown"


def refusal(refused: Refusal, id_: Id, rpc_code: int | None) -> dict[str, Any]:
    """A refusal as a JSON-RPC error. `rpc_code` is that of a bad message, None for any other refusal.

    A detail that lists faults by their `loc` stands in `data`, as it does over HTTP.
    """
    in_words = isinstance(refused.detail, str)
    data = {
        "code": refused.code,
        "detail": None if in_words else refused.detail,
        "decision_id": refused.decision_id,
        "reasons": refused.reasons,
        "approval_id": refused.approval_id,
    }
    known = {name: value for name, value in data.items() if value is not None}
    code = rpc_code or _rpc_code(refused.status)
    return {
        "jsonrpc": "2.0",
        "id": id_,
        "error": {
            "code": code,
            "message": refused.detail if in_words else "the request is not valid",
            "data": known,
        },
    }


def _rpc_code(status: int) -> int:
    if status >= 500:
        return INTERNAL
    return INVALID_REQUEST if status in {400, 405, 413, 431} else DENIED
