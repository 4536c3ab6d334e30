"""Open Policy Agent: many questions in one request, and one rule read by itself.

All go through our own HTTP connection as bytes, on OPA's Unix socket where there is one: a general client
would cost a call a quarter of the throughput and each worker twenty megabytes. All use OPA's route for web
hooks, where the body is the input and the answer the result: OPA reads and writes it for a twentieth less.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from adapters.http1 import (
    Answer,
    ConnectFailed,
    HTTPError,
    Limits,
    NoAnswer,
    Pool,
    Response,
    TcpAddress,
    UnixAddress,
)

BATCH_PATH: Final = b"/v0/data/gateway/decision/batch"
PRICES_PATH: Final = b"/v0/data/gateway/tools/prices"
CASES_PATH: Final = b"/v0/data/compliance/cases/batch"
_CONNECTIONS_MAX: Final = 2


class OpaUnavailable(Exception):
    """OPA did not answer, or not with what was asked for; the message says which.

    `untouched`: it closed the connection before it said anything, as it may at any time.
    """

    def __init__(self, why: str, *, untouched: bool = False) -> None:
        super().__init__(why)
        self.untouched = untouched


class OpaData:
    """Asks OPA about its rules; asking changes nothing, so a connection that OPA closed is replaced."""

    def __init__(self, address: TcpAddress | UnixAddress, token: str | None, answer_bytes_max: int) -> None:
        limits = Limits(
            connections_max=_CONNECTIONS_MAX,
            waiting_max=_CONNECTIONS_MAX,
            buffer_bytes_max=answer_bytes_max,
        )
        self._pool = Pool(address=address, tls=None, limits=limits)
        self._headers = [(b"content-type", b"application/json")]
        if token:
            self._headers.append((b"authorization", b"Bearer " + token.encode()))
        self._answer_bytes_max = answer_bytes_max

    async def ask(self, inputs: list[bytes], timeout_s: float) -> list[Any]:
        """The decisions on many inputs, one each, in order. Raises `OpaUnavailable` for anything else."""
        return _each(await self._result(BATCH_PATH, _batch(inputs), timeout_s), len(inputs))

    def ask_at_once(
        self, inputs: list[bytes], timeout_s: float, heard: Callable[[list[Any] | OpaUnavailable], None]
    ) -> bool:
        """The same without waiting, if a connection is at hand: `heard` is told. False if there is none."""
        told = partial(_tell, len(inputs), heard)
        return self._pool.ask(b"POST", BATCH_PATH, self._headers, _batch(inputs), timeout_s, told)

    async def prices(self, timeout_s: float) -> Any:
        """The table of prices as it stands. Raises `OpaUnavailable`."""
        return await self._result(PRICES_PATH, b"{}", timeout_s)

    async def violations(self, observations: list[bytes], timeout_s: float) -> list[Any]:
        """What each observation of the event stream violates, in order. Raises `OpaUnavailable`."""
        body = b'{"observations":[' + b",".join(observations) + b"]}"
        return _each(await self._result(CASES_PATH, body, timeout_s), len(observations))

    async def _result(self, path: bytes, body: bytes, timeout_s: float) -> Any:
        end_s = asyncio.get_running_loop().time() + timeout_s
        try:
            response = await self._pool.send(
                b"POST", path, self._headers, body, timeout_s, idempotent=True, stall_s=timeout_s
            )
            text = await self._whole(response, end_s)
        except HTTPError as error:
            raise _unavailable(error) from error
        except TimeoutError:
            raise OpaUnavailable("OPA did not answer in time") from None
        return _result(response.status, text)

    async def _whole(self, response: Response, end_s: float) -> bytes:
        """The answer's body; one that comes drop by drop has its time as a whole, and ends its connection."""
        if response.complete:
            return await response.read(self._answer_bytes_max)
        async with response, asyncio.timeout_at(end_s):
            return await response.read(self._answer_bytes_max)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


def _batch(inputs: list[bytes]) -> bytes:
    return b'{"calls":[' + b",".join(inputs) + b"]}"


def _tell(count: int, heard: Callable[[list[Any] | OpaUnavailable], None], answer: Answer) -> None:
    try:
        if answer.error is not None:
            raise _unavailable(answer.error)
        decisions = _each(_result(answer.status, answer.rest()), count)
    except OpaUnavailable as error:
        heard(error)
    else:
        heard(decisions)


def _each(answers: Any, count: int) -> list[Any]:
    if not isinstance(answers, list) or len(answers) != count:
        raise OpaUnavailable("OPA answered something other than one answer for each")
    return answers


def _result(status: int, text: bytes) -> Any:
    if status != 200:
        raise OpaUnavailable(f"OPA answered {status}")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise OpaUnavailable("OPA answered no JSON") from None


def _unavailable(error: HTTPError) -> OpaUnavailable:
    if isinstance(error, ConnectFailed):
        return OpaUnavailable("OPA cannot be reached")
    return OpaUnavailable(f"OPA: {error}", untouched=isinstance(error, NoAnswer) and error.untouched)


def tcp_address(url: str) -> TcpAddress:
    """The address of an http URL."""
    parts = urlsplit(url)
    return TcpAddress(parts.hostname or "127.0.0.1", parts.port or 80)
