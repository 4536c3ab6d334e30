"""Open Policy Agent: many questions in one request, and opa-python-client for everything else.

`AsyncOpaClient` reads data, policies and health. On the path of a call it would cost a quarter of the
throughput (a dictionary through the standard library's JSON, TCP alone), so questions to one rule go through
`OpaBatch`: bytes over our own HTTP connection, on OPA's Unix socket where there is one.
"""

from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from opa_client.opa_async import AsyncOpaClient

from adapters.http1 import HTTPError, Limits, Pool, TcpAddress, UnixAddress

BATCH_PATH: Final = b"/v1/data/gateway/decision/batch"
_CONNECTIONS_MAX: Final = 2


class OpaUnavailable(Exception):
    """OPA did not answer, or not with what was asked for; the message says which."""


class OpaBatch:
    """Asks `data.gateway.decision.batch` for the decisions of many inputs at once."""

    def __init__(self, address: TcpAddress | UnixAddress, token: str | None, answer_bytes_max: int) -> None:
        limits = Limits(connections_max=_CONNECTIONS_MAX, waiting_max=_CONNECTIONS_MAX)
        self._pool = Pool(address=address, tls=None, limits=limits)
        self._headers = [(b"content-type", b"application/json")]
        if token:
            self._headers.append((b"authorization", b"Bearer " + token.encode()))
        self._answer_bytes_max = answer_bytes_max

    async def ask(self, inputs: list[bytes], timeout_s: float) -> list[Any]:
        """One answer an input, in order. Raises `OpaUnavailable` for anything else.

        Asking changes nothing, so a connection that OPA had closed meanwhile is replaced once.
        """
        body = b'{"input":{"calls":[' + b",".join(inputs) + b"]}}"
        try:
            response = await self._pool.send(
                b"POST", BATCH_PATH, self._headers, body, timeout_s, idempotent=True, stall_s=timeout_s
            )
            text = await response.read(self._answer_bytes_max)
        except HTTPError as error:
            raise OpaUnavailable(f"OPA: {error}") from None
        if response.status != 200:
            raise OpaUnavailable(f"OPA answered {response.status}")
        return _answers(text, len(inputs))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


def _answers(text: bytes, count: int) -> list[Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise OpaUnavailable("OPA answered no JSON") from None
    match document:
        case {"result": list(answers)} if len(answers) == count:
            return answers
    raise OpaUnavailable("OPA answered something other than one decision a call")


def client(url: str, token: str | None, timeout_s: float) -> AsyncOpaClient:
    """A client for data, policies and health at an http(s) URL; it never tries again by itself.

    Enter it as an asynchronous context manager before use.
    """
    parts = urlsplit(url)
    return AsyncOpaClient(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (443 if parts.scheme == "https" else 80),
        ssl=parts.scheme == "https",
        token=token,
        retries=0,
        timeout=timeout_s,
    )


def tcp_address(url: str) -> TcpAddress:
    """The address of an http URL."""
    parts = urlsplit(url)
    return TcpAddress(parts.hostname or "127.0.0.1", parts.port or 80)
