"""The way in for MCP over streamable HTTP: POST, GET and DELETE on `/mcp/{server}`.

`tools/call` is judged and goes through the pipeline. Everything else (the handshake, listings, resources,
notifications, answers to the server's own questions, methods nobody here has heard of) passes unchanged
once the caller is known. Both eras of the protocol go by: with sessions (to 2025-11-25), where the ids are
sealed to their agent, and without (2026-07-28), where `Mcp-Method` and `Mcp-Name` say what the body says.

A refusal is JSON-RPC. Where the message is well formed and its id known it comes with HTTP status 200; a
message that is not, an unknown caller, a session that is not there, and limits keep their own.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from adapters.http1 import Headers, Response
from gateway.config import Settings
from gateway.core import mcp_message, mcp_session
from gateway.core.classify import Call, Server
from gateway.core.identify import Principal
from gateway.core.mcp_message import BadMessage, Id, Message
from gateway.core.permit import Outcome, Permit
from gateway.edge import mcp_relay
from gateway.edge.ingress import Request, refusal_headers
from gateway.edge.session_key import session_key
from gateway.errors import BadRequest, Denied, OutcomeUnknown, Refusal
from gateway.pipeline import refuse, run
from gateway.ports import Gate

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_OWN_STATUS: Final = frozenset({400, 401, 405, 413, 429, 431})
_NOT_YET_KNOWN: Final = Call("tool_call", "", "")
_NOT_SENT_ON: Final = frozenset({mcp_relay.SESSION, b"accept-encoding", b"origin"})


async def handle(gate: Gate, request: Request) -> None:
    """Answer one request, with a refusal if it comes to that."""
    try:
        check_caller_site(request.host, request.header(b"origin"), gate.settings)
        principal = await gate.identity.identify(request.credential)
    except Refusal as refusal:
        await answer_refusal(request, refusal)
        return
    visit = _Visit(gate, request, principal)
    try:
        try:
            await visit.serve()
        except (BadRequest, Denied) as refusal:
            if refusal.decision_id is None:
                await refuse(gate, principal, visit.call, refusal)
            raise
    except Refusal as refusal:
        request.asked = None
        await visit.answer_refusal(refusal)


def check_caller_site(host: bytes, origin: bytes | None, settings: Settings) -> None:
    """Refuse web pages that were not invited, DNS rebinding among them. Raises `Denied`.

    The upstream cannot look: it sees the gateway as its caller. On loopback only loopback's names are
    answered; elsewhere any name is, unless the settings list them.
    """
    name = urlsplit(f"//{host.decode('latin-1')}").hostname or ""
    known = {*settings.mcp_hosts, settings.host} | _LOOPBACK
    if name not in known and (settings.mcp_hosts or settings.host in _LOOPBACK):
        raise Denied("host_not_allowed", "this gateway does not answer to the name in Host")
    if origin is not None and origin.decode("latin-1") not in settings.mcp_origins:
        raise Denied("host_not_allowed", "web pages of this Origin may not call the gateway")


@dataclass(slots=True)
class _Visit:
    """One request of a known caller; `call` says as much of it as is known yet."""

    gate: Gate
    request: Request
    principal: Principal
    call: Call = _NOT_YET_KNOWN
    id: Id = None
    rpc_code: int | None = None
    session_id: bytes | None = None

    async def serve(self) -> None:
        request = self.request
        self.call = self._call("", "")
        request.asked = self.principal, self.call
        server = await self._server()
        self.call = self._call(server.name, "")
        if request.query:
            raise BadRequest("malformed", "an MCP server is spoken to without a query")
        self.session_id = self._open_session(server)
        if request.method == "POST":
            await self._post(server)
        elif request.method in {"GET", "DELETE"}:
            request.check_workflow()
            await self._pass_on(server, None)
        else:
            raise BadRequest("method_not_allowed", "MCP is spoken by POST, GET and DELETE")

    async def _server(self) -> Server:
        """The server of this path. One that is not there is told with the id of the message that is for it,
        where that can be read."""
        segments = self.request.raw_path.split(b"/")
        if len(segments) != 3:
            raise BadRequest("not_found", "there is no such route")
        try:
            return self._registered(segments[2].decode("latin-1"))
        except BadRequest:
            if self.request.method == "POST":
                await self._read_id()
            raise

    def _registered(self, name: str) -> Server:
        server = self.gate.servers.server(name)
        if server.kind != "mcp":
            raise BadRequest("not_found", "there is no MCP server of this name")
        return server

    async def _read_id(self) -> None:
        try:
            await self._message()
        except BadRequest:
            self.id = self.rpc_code = None

    def _call(self, server: str, tool: str, arguments: dict[str, Any] | None = None) -> Call:
        return Call(
            kind="tool_call",
            server=server,
            tool=tool,
            arguments=arguments or {},
            method=self.request.method,
            content="json" if self.request.method == "POST" else "none",
            workflow_id=self.request.workflow_id,
            session_id=(self.session_id or b"").decode("latin-1"),
            correlation_id=self.request.correlation_id,
        )

    def _open_session(self, server: Server) -> bytes | None:
        """The server's own session id, where the caller's is one that it was given."""
        sealed = self.request.header(mcp_relay.SESSION)
        if sealed is None:
            return None
        key = session_key(self.gate.settings.journal_dir)
        session_id = mcp_session.unwrap(sealed, key, self.principal, server.name)
        if session_id is None:
            self.rpc_code = mcp_message.INVALID_REQUEST
            raise BadRequest("not_found", "there is no such session")
        return session_id

    async def _message(self) -> tuple[bytes, Message]:
        """The body, and the one message in it; from here on refusals have the message's id."""
        content = (self.request.header(b"content-type") or b"").lower().replace(b" ", b"")
        coded = self.request.header(b"content-encoding") is not None
        if coded or content not in {b"application/json", b"application/json;charset=utf-8"}:
            raise BadRequest("malformed", "the body must be application/json in UTF-8, not encoded")
        body = await self.request.body(self.gate.settings.json_bytes_max)
        return body, self._read(body)

    async def _post(self, server: Server) -> None:
        body, message = await self._message()
        self.request.check_workflow()
        if not message.is_tool_call:
            await self._pass_on(server, body)
            return
        self.call = self._call(server.name, message.tool, message.arguments)
        self.request.asked = self.principal, self.call

        async def forward(permit: Permit) -> Outcome:
            self.request.asked = None
            return await self._while_here(self._exchange(server, body, permit))

        await run(self.gate, self.principal, self.call, forward)

    def _read(self, body: bytes) -> Message:
        try:
            message = mcp_message.read(body, self.gate.settings.json_depth_max)
            mcp_message.check_headers(
                message, self.request.header(b"mcp-method"), self.request.header(b"mcp-name")
            )
        except BadMessage as bad:
            self.id, self.rpc_code = bad.id, bad.rpc_code
            raise BadRequest("malformed", str(bad)) from bad
        self.id = message.id if message.method is not None else None
        return message

    async def _pass_on(self, server: Server, body: bytes | None) -> None:
        self.request.asked = None
        outcome = await self._while_here(self._exchange(server, body, None))
        await outcome.finish()

    async def _while_here(self, exchange: Coroutine[None, None, Outcome]) -> Outcome:
        """The outcome of an exchange; a caller that leaves ends it, wherever it is."""
        request, task = self.request, asyncio.current_task()
        if task is None or request.gone:
            exchange.close()
            return Outcome("failed", 0)
        request.on_gone(task.cancel)
        try:
            return await exchange
        except asyncio.CancelledError:
            if not request.gone:
                raise
            task.uncancel()
            return Outcome("unknown", 0, stopped=True)
        finally:
            request.on_gone(None)

    async def _exchange(self, server: Server, body: bytes | None, permit: Permit | None) -> Outcome:
        """Send the request on and its answer back; that of a judged call is watched for how it ends."""
        request = self.request
        headers: Headers = [header for header in request.headers if header[0] not in _NOT_SENT_ON]
        if self.session_id is not None:
            headers.append((mcp_relay.SESSION, self.session_id))
        method = request.method.encode("ascii")
        sending = (permit.begun, permit.patience_s) if permit else ()
        async with await self.gate.upstreams.send(server, method, b"", headers, body, *sending) as response:
            mcp_relay.check_status(response)
            back = mcp_relay.passable(response, self._sealed(server, response))
            if permit is None:
                return await mcp_relay.pass_on(request, response, back)
            return await mcp_relay.relay(request, response, back, permit.decision_id, self.id)

    def _sealed(self, server: Server, response: Response) -> bytes | None:
        """The session id that the server hands out, sealed for this caller."""
        for name, value in response.headers:
            if name == mcp_relay.SESSION:
                key = session_key(self.gate.settings.journal_dir)
                sealed = mcp_session.wrap(value, key, self.principal, server.name)
                if sealed is None:
                    raise OutcomeUnknown("upstream_invalid", "the tool server's session id is not one")
                return sealed
        return None

    async def answer_refusal(self, refusal: Refusal) -> None:
        """Answer with the refusal; where a judged call's stream has begun, as its last event."""
        if not self.request.started:
            await answer_refusal(self.request, refusal, self.id, self.rpc_code)
        elif self.call.tool:
            event = orjson.dumps(mcp_message.refusal(refusal, self.id, self.rpc_code))
            try:
                async with asyncio.timeout(self.gate.settings.write_stall_s):
                    await self.request.send(b"event: message\ndata: %b\n\n" % event, more=False)
            except TimeoutError:
                raise refusal from None
        else:
            raise refusal


async def answer_refusal(
    request: Request, refusal: Refusal, id_: Id = None, rpc_code: int | None = None
) -> None:
    """Answer with JSON-RPC; without the message's id the HTTP status is the refusal's own."""
    status = refusal.status if id_ is None or refusal.status in _OWN_STATUS else 200
    document = mcp_message.refusal(refusal, id_, rpc_code)
    await request.answer(status, document, refusal_headers(refusal), refusal.decision_id)
