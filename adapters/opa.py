"""Open Policy Agent: many questions in one request, and one rule read by itself.

All go through our own HTTP connection as bytes, on OPA's Unix socket where there is one: a general client
would cost a call a quarter of the throughput and each worker twenty megabytes. All use OPA's route for web
hooks, where the body is the input and the answer the result: OPA reads and writes it for a twentieth less.
"""

import asyncio
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from adapters.http1 import ConnectFailed, HTTPError, Limits, Pool, Response, TcpAddress, UnixAddress

BATCH_PATH: Final = b"/v0/data/gateway/decision/batch"
PRICES_PATH: Final = b"/v0/data/gateway/tools/prices"
CASES_PATH: Final = b"/v0/data/compliance/cases/batch"
_CONNECTIONS_MAX: Final = 2


class OpaUnavailable(Exception):
    """OPA did not answer, or not with what was asked for; the message says which."""


class OpaData:
    """Asks OPA about its rules; asking changes nothing, so a connection that OPA closed is replaced."""

    def __init__(self, address: TcpAddress | UnixAddress, token: str | None, answer_bytes_max: int) -> None:
        limits = Limits(connections_max=_CONNECTIONS_MAX, waiting_max=_CONNECTIONS_MAX)
        self._pool = Pool(address=address, tls=None, limits=limits)
        self._headers = [(b"content-type", b"application/json")]
        if token:
            self._headers.append((b"authorization", b"Bearer " + token.encode()))
        self._answer_bytes_max = answer_bytes_max

    async def ask(self, inputs: list[bytes], timeout_s: float) -> list[Any]:
        """The decisions on many inputs, one each, in order. Raises `OpaUnavailable` for anything else."""
        body = b'{"calls":[' + b",".join(inputs) + b"]}"
        answers = await self._result(BATCH_PATH, body, timeout_s)
        if not isinstance(answers, list) or len(answers) != len(inputs):
            raise OpaUnavailable("OPA answered something other than one decision a call")
        return answers

    async def prices(self, timeout_s: float) -> Any:
        """The table of prices as it stands. Raises `OpaUnavailable`."""
        return await self._result(PRICES_PATH, b"{}", timeout_s)

    async def violations(self, observations: list[bytes], timeout_s: float) -> list[Any]:
        """What each observation of the event stream violates, in order. Raises `OpaUnavailable`."""
        body = b'{"observations":[' + b",".join(observations) + b"]}"
        answers = await self._result(CASES_PATH, body, timeout_s)
        if not isinstance(answers, list) or len(answers) != len(observations):
            raise OpaUnavailable("OPA answered something other than one list an observation")
        return answers

    async def _result(self, path: bytes, body: bytes, timeout_s: float) -> Any:
        end_s = asyncio.get_running_loop().time() + timeout_s
        try:
            response = await self._pool.send(
                b"POST", path, self._headers, body, timeout_s, idempotent=True, stall_s=timeout_s
            )
            text = await self._whole(response, end_s)
        except ConnectFailed as error:
            raise OpaUnavailable("OPA cannot be reached") from error
        except HTTPError as error:
            raise OpaUnavailable(f"OPA: {error}") from None
        except TimeoutError:
            raise OpaUnavailable("OPA did not answer in time") from None
        if response.status != 200:
            raise OpaUnavailable(f"OPA answered {response.status}")
        return _result(text)

    async def _whole(self, response: Response, end_s: float) -> bytes:
        """The answer's body; one that comes drop by drop has its time as a whole, and ends its connection."""
        if response.complete:
            return await response.read(self._answer_bytes_max)
        async with response, asyncio.timeout_at(end_s):
            return await response.read(self._answer_bytes_max)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


def _result(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise OpaUnavailable("OPA answered no JSON") from None


def tcp_address(url: str) -> TcpAddress:
    """The address of an http URL."""
    parts = urlsplit(url)
    return TcpAddress(parts.hostname or "127.0.0.1", parts.port or 80)
