"""The way in for HTTP tools: `/tools/{server}/{path}`.

The tool's name is `METHOD /path`, its arguments are the query's parameters and the members of a JSON body.
Path and query are sent in the canonical form that was judged; a JSON body is sent as the very bytes that
were read. Any other body is opaque: policy knows that there is one, and it streams through. Answers stream
back as they come; only the end of one is kept back until the outcome is on the journal.
"""

import asyncio
import functools
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, Final

from adapters.http1 import HTTPError, Response
from gateway.core import forward
from gateway.core.classify import Call, Content, Server
from gateway.core.hold import standing_workflow
from gateway.core.path import arguments_of, canonical_path, canonical_query
from gateway.core.permit import Outcome, Permit
from gateway.edge.ingress import Request
from gateway.edge.upstream import failure
from gateway.errors import BadRequest, OutcomeUnknown, Refusal
from gateway.pipeline import refuse, run
from gateway.ports import Gate
from schemas.strict_json import NotStrictJSON, read

WHOLE_BODY: Final = "body"

Body = bytes | AsyncIterable[bytes] | None


async def handle(gate: Gate, request: Request) -> None:
    """Answer one request. Raises `Refusal`."""
    principal = await gate.identity.identify(request.credential)
    request.asked = principal, _unread(request)
    try:
        call, passage = await _read(gate, request, standing_workflow(principal))
    except Refusal as refusal:
        await refuse(gate, *request.asked, refusal)
        raise
    request.asked = principal, call
    await run(gate, principal, call, passage)


async def _read(gate: Gate, request: Request, standing: str) -> tuple[Call, "_Passage"]:
    """The call and how it is sent on; `standing` is its workflow where it names none."""
    request.check_workflow()
    server_name, path = _address(request)
    server = _server(gate, server_name)
    arguments: dict[str, Any] = dict(arguments_of(_bounded(request.query, request)))
    target = path
    if arguments:
        target += "?" + canonical_query(arguments)
    content, body, members = await _body(gate, request)
    for name, value in members.items():
        if name in arguments:
            raise BadRequest("malformed", f"the argument {name!r} stands in the query and in the body")
        arguments[name] = value
    call = Call(
        kind="tool_call",
        server=server_name,
        tool=f"{request.method} {path}",
        arguments=arguments,
        method=request.method,
        path=path,
        content=content,
        workflow_id=request.workflow_id or standing,
        correlation_id=request.correlation_id,
    )
    return call, _Passage(gate, request, server, target.encode("ascii"), body)


def _server(gate: Gate, name: str) -> Server | None:
    """The HTTP server of this name, None where nobody registered one: what may be known of that is for policy
    to say first. Raises `BadRequest` for an MCP server: its tools are judged and priced on `/mcp` alone.
    """
    try:
        server = gate.servers.server(name)
    except BadRequest:
        return None
    if server.kind != "http":
        raise _absent(name)
    return server


def _absent(name: str) -> BadRequest:
    return BadRequest("not_found", f"no HTTP tool server {name!r} is registered")


def _address(request: Request) -> tuple[str, str]:
    """The server's name and the tool's path of `/tools/{server}/{path}`."""
    if request.method == "TRACE":
        raise BadRequest("method_not_allowed", "TRACE would show what is sent on")
    path = canonical_path(_bounded(request.raw_path, request))
    server, slash, rest = path.removeprefix("/tools/").partition("/")
    if not path.startswith("/tools/") or not server:
        raise BadRequest("not_found", "there is no such route")
    return server, slash + rest or "/"


def _bounded(text: bytes, request: Request) -> bytes:
    if len(text) > request.settings.path_bytes_max:
        raise BadRequest("malformed", f"longer than {request.settings.path_bytes_max} bytes")
    return text


async def _body(gate: Gate, request: Request) -> tuple[Content, Body, dict[str, Any]]:
    """What kind of body there is, what to send, and the arguments in it."""
    settings = gate.settings
    media_type = request.header(b"content-type")
    if request.length == 0:
        return "none", None, {}
    if media_type is None or not _is_json(media_type):
        return "opaque", request.stream(settings.body_bytes_max), {}
    if request.header(b"content-encoding") is not None:
        raise BadRequest("malformed", "a JSON body must not be encoded")
    body = await request.body(settings.json_bytes_max)
    try:
        document = read(body, settings.json_depth_max)
    except NotStrictJSON as error:
        raise BadRequest("malformed", f"the body is not strict JSON: {error}") from None
    return "json", body, document if isinstance(document, dict) else {WHOLE_BODY: document}


def _is_json(media_type: bytes) -> bool:
    """Whether a body of this type is read as JSON. Raises `BadRequest` for JSON in another charset."""
    kind, _, parameters = media_type.lower().partition(b";")
    kind = kind.strip()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        return False
    if b"charset" in parameters and b"utf-8" not in parameters:
        raise BadRequest("malformed", "JSON must be UTF-8")
    return True


def _unread(request: Request) -> Call:
    """As much as may be said of a request that could not be read; its path stays out of it."""
    return Call(
        kind="tool_call",
        server="",
        tool=request.method,
        method=request.method,
        workflow_id=request.workflow_id,
        correlation_id=request.correlation_id,
    )


@dataclass(slots=True)
class _Passage:
    """Sends one judged call on and its answer back."""

    gate: Gate
    request: Request
    server: Server | None
    target: bytes
    body: Body
    status: int = 0

    async def __call__(self, permit: Permit) -> Outcome:
        """The pipeline's `forward`. The caller's going away ends the upstream's work too."""
        self.request.asked = None
        task = asyncio.current_task()
        if task is None or self.request.gone:
            return Outcome("failed", 0)
        self.request.on_gone(task.cancel)
        try:
            return await self._pass(permit)
        except asyncio.CancelledError:
            if not self.request.gone:
                raise
            task.uncancel()
            return Outcome("unknown", self.status, stopped=True)
        finally:
            self.request.on_gone(None)

    async def _pass(self, permit: Permit) -> Outcome:
        call = permit.call
        if self.server is None:
            raise _absent(call.server)
        response = await self.gate.upstreams.send(
            self.server,
            call.method.encode("ascii"),
            self.target,
            self.request.headers,
            self.body,
            permit.begun,
            permit.patience_s,
        )
        try:
            self.status = response.status
            return await self._relay(response, permit.decision_id)
        except HTTPError as error:
            raise failure(error) from error
        finally:
            response.close()

    async def _relay(self, response: Response, decision_id: str) -> Outcome:
        """Send back what comes, all but the end."""
        headers = forward.answer_headers(response.status, response.headers)
        kind = forward.ending(response.status)
        if response.complete:
            body = await response.read(self.gate.settings.stream_bytes_max)
            relay = functools.partial(self.request.relay, response.status, headers, body, decision_id)
            return Outcome(kind, response.status, relay)
        await self.request.start(response.status, headers, decision_id)
        last = await self._stream(response, forward.length_of(headers))
        return Outcome(kind, response.status, lambda: self.request.send(last, more=False))

    async def _stream(self, response: Response, length: int | None) -> bytes:
        """Relay pieces until the end; the piece that completes a known length is kept back."""
        settings = self.gate.settings
        size = 0
        last = b""
        try:
            async with asyncio.timeout(settings.stream_s_max):
                async for piece in response:
                    size += len(piece)
                    if size > settings.stream_bytes_max:
                        raise OutcomeUnknown("upstream_invalid", "the answer is larger than its limit")
                    if size == length:
                        last = piece
                    else:
                        await self.request.send(piece, more=True)
        except TimeoutError:
            raise OutcomeUnknown(
                "upstream_timeout", "the answer streamed for longer than its limit"
            ) from None
        return last
