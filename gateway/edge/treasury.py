"""The way to the treasury: one strict HTTP exchange at a time, bounded in time and size.

    ask(...)            one request in a caller's name → the treasury's document
        Denied          the treasury says no (403)
        BadRequest      the request is at fault or in the wrong state (404, 409, 422), code unchanged
        Unavailable     no answer, not in time, or none that can be understood

A write carries an idempotency key and the digest of what was asked, so that asking again is harmless:
warrants and ids are fresh each time and tell nothing about equality. That our own token was refused is
our fault and not the agent's: it is logged, and the agent is told that the treasury is unavailable.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog

from adapters.http1 import Headers, HTTPError, Limits, Pool, TcpAddress
from gateway.errors import BadRequest, Denied, Refusal, Unavailable
from schemas.codes import STATUS

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
RETRY_AFTER_S: Final = 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """In whose name the treasury is asked. `bearer` is an operator's own token; None is the gateway's."""

    tenant: str
    principal: str
    correlation_id: str
    bearer: str | None = None


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a write happen once: its key, and the digest of what was asked."""

    key: str
    request_sha256: str


class Treasury:
    """The client of one treasury. `timeout_s` bounds an exchange, the wait for a connection included."""

    def __init__(self, address: TcpAddress, token: str, timeout_s: float, connections_max: int) -> None:
        limits = Limits(connections_max=connections_max, connect_timeout_s=timeout_s, stall_s=timeout_s)
        self._pool = Pool(address=address, limits=limits)
        self._token = token
        self._timeout_s = timeout_s

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def read(self, asker: Asker, target: str) -> dict[str, Any]:
        """GET a path with its query."""
        return await self._exchange(b"GET", target, self._headers(asker), None)

    async def read_text(self, asker: Asker, target: str) -> bytes:
        """GET what is no JSON document, as it comes."""
        status, answer = await self._send(b"GET", target, self._headers(asker), None)
        if status >= 300:
            _document(status, answer)
        return answer

    async def write(self, asker: Asker, target: str, document: dict[str, Any], once: Once) -> dict[str, Any]:
        """POST a document; the same `once` gets the same answer."""
        headers = self._headers(asker)
        headers += [
            (b"content-type", b"application/json"),
            (b"idempotency-key", once.key.encode()),
            (b"x-request-sha256", once.request_sha256.encode()),
        ]
        return await self._exchange(b"POST", target, headers, orjson.dumps(document))

    async def is_ready(self) -> bool:
        """Whether the treasury says that it can work."""
        try:
            await self._exchange(b"GET", "/readyz", [], None)
        except Refusal:
            return False
        return True

    def _headers(self, asker: Asker) -> Headers:
        return [
            (b"authorization", b"Bearer " + (asker.bearer or self._token).encode()),
            (b"x-tenant", asker.tenant.encode()),
            (b"x-principal", asker.principal.encode()),
            (b"x-correlation-id", asker.correlation_id.encode()),
        ]

    async def _exchange(
        self, method: bytes, target: str, headers: Headers, body: bytes | None
    ) -> dict[str, Any]:
        return _document(*await self._send(method, target, headers, body))

    async def _send(
        self, method: bytes, target: str, headers: Headers, body: bytes | None
    ) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._pool.send(
                    method, target.encode(), headers, body, self._timeout_s, idempotent=True
                )
                return response.status, await response.read(ANSWER_BYTES_MAX)
        except (HTTPError, TimeoutError) as error:
            raise unavailable(f"the treasury did not answer: {error or 'not in time'}") from error


def unavailable(why: str) -> Unavailable:
    """The refusal of whatever needs the treasury while it cannot be had."""
    return Unavailable("treasury_unavailable", why, retry_after_s=RETRY_AFTER_S)


def _document(status: int, answer: bytes) -> dict[str, Any]:
    try:
        document: Any = orjson.loads(answer)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise unavailable(f"the treasury's answer (status {status}) is not a JSON object")
    if status < 300:
        return document
    raise _refusal(status, document)


def _refusal(status: int, document: dict[str, Any]) -> Refusal:
    """The treasury's own code and detail, where it is one that an agent can do something about."""
    code = document.get("code")
    if status == 401 or status >= 500 or not isinstance(code, str) or STATUS.get(code) != status:
        log.error("treasury_refused", status=status, code=code, detail=document.get("detail"))
        return unavailable("the treasury cannot take this now")
    kind = Denied if status == 403 else BadRequest
    return kind(code, document.get("detail"), reasons=tuple(document.get("reasons") or ()))
