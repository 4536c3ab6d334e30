"""The way in: what every request must be before anybody looks at what it asks for.

Refused here: two ways to find the body's end, a missing or second Host, upgrades, too many headers, two
credentials at once. Dropped here: every header by which a caller could claim to be somebody, or could make
a tool do another thing than what was judged (`X-HTTP-Method-Override`, `X-Original-URL`), hop-by-hop
headers, the caller's own credentials, cookies among them, and every header with an underscore in its name:
many servers read it as a hyphen, and would see a header that was not looked at here.

A correlation id is taken from the caller only if it is well formed; every answer carries one.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import orjson

from gateway.config import Settings
from gateway.core.classify import Call
from gateway.core.identify import Credential, Principal
from gateway.errors import BadRequest, Refusal, Unauthenticated
from schemas.codes import error_body
from schemas.ids import new_id

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
Values = Sequence[bytes]

GONE: Final = "tollhouse.gone"
ON_GONE: Final = "tollhouse.on_gone"
ARRIVED: Final = "tollhouse.arrived"
BREAK_OFF: Final = "tollhouse.break_off"
ANSWER_WHOLE: Final = "tollhouse.answer_whole"
JSON: Final = (b"content-type", b"application/json")
RETRY_AFTER_S: Final = 1

_CORRELATION = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UUID = re.compile(rb"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_READ_HERE: Final = frozenset(
    b"host content-length transfer-encoding connection upgrade expect"
    b" authorization x-api-key x-correlation-id x-workflow-id".split()
)
_HOP_BY_HOP: Final = frozenset(b"keep-alive proxy-connection te trailer trailers http2-settings".split())
_CLAIMS: Final = frozenset(
    b"cookie forwarded via from remote-user x-real-ip x-cluster-client-ip true-client-ip cf-connecting-ip"
    b" x-original-url x-rewrite-url x-original-uri x-original-host x-host"
    b" x-http-method x-http-method-override x-method-override"
    b" x-decision-id ssl-client-cert client-cert client-cert-chain".split()
)
_CLAIM_PREFIXES: Final = (
    b"x-agent",
    b"x-user",
    b"x-role",
    b"x-tenant",
    b"x-principal",
    b"x-auth",
    b"x-forwarded",
    b"x-tollhouse",
    b"x-client-",
    b"x-ssl-",
    b"x-spiffe",
    b"x-remote-",
    b"x-envoy-",
    b"proxy-",
)
_NEVER_HOP_BY_HOP: Final = frozenset(
    b"content-type content-encoding content-length host transfer-encoding".split()
)


@lru_cache(maxsize=1_024)
def disposition(name: bytes) -> Literal["pass", "read", "drop"]:
    """What becomes of a request's header, by its lower-case name."""
    if name in _READ_HERE:
        return "read"
    if b"_" in name or name in _HOP_BY_HOP or name in _CLAIMS or name.startswith(_CLAIM_PREFIXES):
        return "drop"
    return "pass"


class Request:
    """One request, its head already checked.

    `headers` may be sent on; `raw_path` and `query` are the very bytes that came. `length` is the body's size
    in bytes, None when it comes in chunks. `asked` is who asks for what, as far as that is known, and None
    again once a record says so: should the gateway fail in between, that is what it records.
    """

    __slots__ = (
        "_expects",
        "_fault",
        "_head_bytes",
        "_receive",
        "_send",
        "_whole",
        "asked",
        "correlation_id",
        "credential",
        "headers",
        "host",
        "length",
        "method",
        "query",
        "raw_path",
        "scope",
        "settings",
        "started",
        "workflow_id",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings) -> None:
        self.scope = scope
        self.settings = settings
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.raw_path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self.headers: list[Header] = []
        self.host = b""
        self.length: int | None = 0
        self.credential = Credential(None)
        self.correlation_id = ""
        self.workflow_id = ""
        self.asked: tuple[Principal, Call] | None = None
        self.started = False
        self._whole = False
        self._fault: BadRequest | None = None
        self._expects = False
        self._head_bytes = 0

    def check(self) -> None:
        """Read the head. Raises `BadRequest` or `Unauthenticated`; `correlation_id` is set in any case."""
        read = self._sort(self.scope["headers"])
        given: Values = read.get(b"x-correlation-id", ())
        well_formed = len(given) == 1 and _CORRELATION.fullmatch(given[0])
        self.correlation_id = given[0].decode() if well_formed else new_id()
        self._check_head(read)
        try:
            self.workflow_id = _workflow(read.get(b"x-workflow-id", ()))
        except BadRequest as fault:
            self._fault = fault
        self.credential = _credential(read.get(b"authorization", ()), read.get(b"x-api-key", ()))

    def check_workflow(self) -> None:
        """Raises `BadRequest` for an X-Workflow-Id that names none: asked once the caller is known, so that
        the refusal comes on record."""
        if self._fault is not None:
            raise self._fault

    def _sort(self, headers: list[Header]) -> dict[bytes, list[bytes]]:
        read: dict[bytes, list[bytes]] = {}
        size = 0
        for header in headers:
            size += len(header[0]) + len(header[1])
            what = disposition(header[0])
            if what == "pass":
                self.headers.append(header)
            elif what == "read":
                read.setdefault(header[0], []).append(header[1])
        self._head_bytes = size
        return read

    def _check_head(self, read: dict[bytes, list[bytes]]) -> None:
        headers: list[Header] = self.scope["headers"]
        if len(headers) > self.settings.header_count_max:
            raise BadRequest("headers_too_large", f"more than {self.settings.header_count_max} headers")
        if self._head_bytes > self.settings.header_bytes_max:
            raise BadRequest(
                "headers_too_large", f"more than {self.settings.header_bytes_max} bytes of headers"
            )
        hosts = read.get(b"host", ())
        if len(hosts) != 1 or not hosts[0]:
            raise BadRequest("malformed", "exactly one Host header is needed")
        self.host = hosts[0]
        if b"upgrade" in read or self.method == "CONNECT":
            raise BadRequest("malformed", "upgrades and tunnels are not served here")
        self._expects = b"expect" in read
        self._check_connection(read.get(b"connection", ()))
        self.length = _length(read.get(b"content-length", ()), read.get(b"transfer-encoding", ()))
        self._whole = self.length == 0

    def _check_connection(self, values: Values) -> None:
        """Drop what the caller names as hop-by-hop; what tells how a body is read must not be named."""
        if not values:
            return
        named = {token.strip().lower() for value in values for token in value.split(b",")}
        named -= {b"keep-alive", b"close", b"te", b""}
        if not named:
            return
        if named & _NEVER_HOP_BY_HOP:
            raise BadRequest("malformed", "Connection names a header that is not hop-by-hop")
        self.headers = [header for header in self.headers if header[0] not in named]

    def header(self, name: bytes) -> bytes | None:
        """The value of a header that may be sent on, None if it is absent.

        Raises `BadRequest` if it stands there twice.
        """
        values = [value for key, value in self.headers if key == name]
        if len(values) > 1:
            raise BadRequest("malformed", f"the header {name.decode('latin-1')} stands there twice")
        return values[0] if values else None

    async def body(self, bytes_max: int) -> bytes:
        """The whole body. Raises `BadRequest`: body_too_large, or malformed (broken off, too slow)."""
        if self._whole:
            return b""
        if ARRIVED in self.scope and self.length is not None and self.length <= bytes_max:
            message = await self._next()
            self._whole = True
            arrived: bytes = message["body"]
            return arrived
        try:
            async with asyncio.timeout(self.settings.body_timeout_s):
                return await self._read(bytes_max)
        except TimeoutError:
            raise _too_slow(self.settings.body_timeout_s) from None

    async def _read(self, bytes_max: int) -> bytes:
        pieces = [piece async for piece in self._pieces(bytes_max, self._next)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def stream(self, bytes_max: int) -> AsyncIterator[bytes]:
        """The body as it comes: each piece in its time, and all of them in the time that any stream has.

        Raises like `body`.
        """
        end_s = asyncio.get_running_loop().time() + self.settings.stream_s_max
        return self._pieces(bytes_max, lambda: self._next_by(end_s))

    async def _pieces(
        self, bytes_max: int, next_message: Callable[[], Awaitable[dict[str, Any]]]
    ) -> AsyncIterator[bytes]:
        if self.length is not None and self.length > bytes_max:
            raise BadRequest("body_too_large", f"the body may have {bytes_max} bytes")
        size = 0
        while not self._whole:
            message = await next_message()
            self._whole = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > bytes_max:
                raise BadRequest("body_too_large", f"the body may have {bytes_max} bytes")
            if piece:
                yield piece

    async def _next_by(self, end_s: float) -> dict[str, Any]:
        if ARRIVED in self.scope:
            return await self._next()
        settings = self.settings
        left_s = end_s - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(settings.body_timeout_s, left_s)):
                return await self._next()
        except TimeoutError:
            longest_s = settings.stream_s_max if left_s < settings.body_timeout_s else settings.body_timeout_s
            raise _too_slow(longest_s) from None

    async def _next(self) -> dict[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("malformed", "the caller went away within its request")
        return message

    @property
    def gone(self) -> bool:
        """Whether the caller has gone away."""
        return GONE in self.scope

    def on_gone(self, call: Callable[[], object] | None) -> None:
        """Have `call` called when the caller goes away, at once if it has; None ends it."""
        self.scope[ON_GONE] = call
        if call is not None and self.gone:
            call()

    def break_off(self) -> None:
        """Close the connection within an answer: the caller must see that it is not whole."""
        close: Callable[[], None] | None = self.scope.get(BREAK_OFF)
        if close is not None:
            close()

    async def start(self, status: int, headers: list[Header], decision_id: str | None = None) -> None:
        """Begin the answer. The ids are added here, and here alone.

        A caller that asked whether to send its body may now do either, so the connection ends.
        """
        headers = self._with_ids(headers, decision_id)
        if self._expects and not self._whole:
            headers.append((b"connection", b"close"))
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _with_ids(self, headers: list[Header], decision_id: str | None) -> list[Header]:
        ids = [(b"x-correlation-id", self.correlation_id.encode())]
        if decision_id is not None:
            ids.append((b"x-decision-id", decision_id.encode()))
        return headers + ids

    async def relay(self, status: int, headers: list[Header], body: bytes, decision_id: str) -> None:
        """Begin and end the answer with a tool's that has come as a whole."""
        self.started = True
        write: Callable[..., bool] | None = self.scope.get(ANSWER_WHOLE)
        whole = status, self._with_ids(headers, decision_id), body
        if write is None or self._expects or not write(self.scope, *whole):
            await self.start(status, headers, decision_id)
            await self.send(body, more=False)

    async def send(self, piece: bytes, *, more: bool) -> None:
        """Send a piece of the answer's body; the last one with `more` False."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})

    async def answer(
        self, status: int, document: Any, headers: tuple[Header, ...] = (), decision_id: str | None = None
    ) -> None:
        """A whole answer in JSON."""
        body = orjson.dumps(document)
        length = (b"content-length", str(len(body)).encode())
        await self.start(status, [JSON, length, *headers], decision_id)
        await self.send(b"" if self.method == "HEAD" else body, more=False)

    async def answer_refusal(self, refusal: Refusal) -> None:
        """The common shape of an error, with the headers that belong to its status."""
        document = error_body(
            refusal.code,
            refusal.detail,
            self.correlation_id,
            decision_id=refusal.decision_id,
            reasons=refusal.reasons or None,
            approval_id=refusal.approval_id,
        )
        await self.answer(refusal.status, document, refusal_headers(refusal), refusal.decision_id)


def refusal_headers(refusal: Refusal) -> tuple[Header, ...]:
    """`Retry-After` on 503 and 429, `WWW-Authenticate` on 401."""
    if refusal.status in {429, 503}:
        return ((b"retry-after", str(refusal.retry_after_s or RETRY_AFTER_S).encode()),)
    if refusal.status == 401:
        return ((b"www-authenticate", b"Bearer"),)
    return ()


def _too_slow(longest_s: float) -> BadRequest:
    return BadRequest("malformed", f"the body took longer than {longest_s} s")


def _length(lengths: Values, encodings: Values) -> int | None:
    if encodings:
        if lengths or [value.strip().lower() for value in encodings] != [b"chunked"]:
            raise BadRequest("malformed", "the end of the body can be found in more than one way")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise BadRequest("malformed", "Content-Length must be one number")
    return int(lengths[0])


def _workflow(ids: Values) -> str:
    """The workflow that a call says it belongs to, as a UUID in its canonical form; "" for none."""
    if not ids:
        return ""
    if len(ids) > 1:
        raise BadRequest("malformed", "the header X-Workflow-Id stands there twice")
    if not _UUID.fullmatch(ids[0]):
        raise BadRequest("invalid", [{"loc": ["header", "X-Workflow-Id"], "message": "must be a UUID"}])
    return ids[0].decode("ascii").lower()


def _credential(bearers: Values, keys: Values) -> Credential:
    """One `Authorization: Bearer …` or one `X-API-Key: …`, never two of anything."""
    if len(bearers) + len(keys) > 1:
        raise Unauthenticated("token_invalid", "show one credential, not several")
    if keys:
        return Credential(_token(keys[0]))
    if not bearers:
        return Credential(None)
    scheme, _, token = bearers[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthenticated("token_invalid", "the Authorization header must be of scheme Bearer")
    return Credential(_token(token))


def _token(token: bytes) -> str:
    token = token.strip(b" ")
    if not token or not token.isascii() or b" " in token:
        raise Unauthenticated("token_invalid", "the credential is not a token")
    return token.decode("ascii")
