"""An MCP server's answer on its way to the caller: passed on unchanged, or watched for how a call ended.

Events go out one by one as they come. The answer to a judged call is kept back as the outcome's `finish`,
for it may not be seen before the outcome is recorded and the money settled.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from adapters.http1 import BadAnswer, Headers, HTTPError, Response
from gateway.config import Settings
from gateway.core import mcp_message
from gateway.core.event_stream import Event, EventStream, EventTooLarge
from gateway.core.forward import answer_headers
from gateway.core.mcp_message import Id
from gateway.core.permit import Outcome
from gateway.edge.ingress import Request
from gateway.edge.upstream import failure
from gateway.errors import OutcomeUnknown, UpstreamFailed

SESSION: Final = b"mcp-session-id"
_JSON: Final = b"application/json"
_EVENTS: Final = b"text/event-stream"
_NOT_PASSED: Final = frozenset((SESSION, b"content-length", b"date", b"server", b"www-authenticate"))


def check_status(response: Response) -> None:
    """Raises `UpstreamFailed` for an answer that a caller should not have to deal with.

    A redirect would lead the caller past the gate, and a challenge asks for the gateway's credentials.
    """
    if response.status in {401, 407}:
        raise UpstreamFailed("upstream_invalid", "the tool server wants credentials that the gateway has not")
    if response.status not in {200, 202, 204} and response.status < 400:
        raise OutcomeUnknown("upstream_invalid", f"the tool server answered with status {response.status}")


def passable(response: Response, session_id: bytes | None) -> Headers:
    """The headers for the caller; `session_id` stands in for the server's own."""
    kept = answer_headers(response.status, response.headers)
    headers = [header for header in kept if header[0] not in _NOT_PASSED]
    if session_id is not None:
        headers.append((SESSION, session_id))
    return headers


async def pass_on(request: Request, response: Response, headers: Headers) -> Outcome:
    """Pass on an answer that nobody judges, piece by piece as it comes."""
    async with _in_time(request.settings):
        await request.start(response.status, headers)
        async for piece in _pieces(response, request.settings):
            await request.send(piece, more=True)
    return Outcome("succeeded", response.status, _last(request, b""))


async def relay(request: Request, response: Response, headers: Headers, decision_id: str, id_: Id) -> Outcome:
    """Relay the answer to a judged call up to the message that ends it. Raises `OutcomeUnknown`."""
    content = _content_type(response)
    if response.status >= 400 or content == _JSON:
        return await _relay_whole(request, response, headers, decision_id, id_)
    if content == _EVENTS:
        return await _relay_events(request, response, headers, decision_id, id_)
    raise OutcomeUnknown("upstream_invalid", "the tool server's answer is neither JSON nor an event stream")


async def _relay_whole(
    request: Request, response: Response, headers: Headers, decision_id: str, id_: Id
) -> Outcome:
    body = await _whole(response, request.settings)
    ended = "failed" if response.status >= 400 else mcp_message.ending(body, id_)
    if ended is None:
        raise OutcomeUnknown("upstream_invalid", "the tool server's answer is not an answer to this call")

    async def finish() -> None:
        length = (b"content-length", b"%d" % len(body))
        await request.start(response.status, [*headers, length], decision_id)
        await request.send(body, more=False)

    return Outcome(ended, response.status, finish)


async def _relay_events(
    request: Request, response: Response, headers: Headers, decision_id: str, id_: Id
) -> Outcome:
    stream = EventStream(request.settings.mcp_answer_bytes_max)
    async with _in_time(request.settings):
        await request.start(response.status, headers, decision_id)
        async for piece in _pieces(response, request.settings):
            for event in _split(stream, piece):
                ended = mcp_message.ending(event.data, id_) if event.data else None
                if ended is not None:
                    return Outcome(ended, response.status, _last(request, event.raw))
                await request.send(event.raw, more=True)
    return Outcome("unknown", response.status, _last(request, stream.rest))


def _split(stream: EventStream, piece: bytes) -> list[Event]:
    try:
        return stream.feed(piece)
    except EventTooLarge as error:
        raise OutcomeUnknown("upstream_invalid", f"the answer cannot be read: {error}") from error


def _last(request: Request, piece: bytes) -> Callable[[], Awaitable[None]]:
    async def finish() -> None:
        await request.send(piece, more=False)

    return finish


async def _whole(response: Response, settings: Settings) -> bytes:
    try:
        if response.complete:
            return await response.read(settings.mcp_answer_bytes_max)
        async with _in_time(settings):
            return await response.read(settings.mcp_answer_bytes_max)
    except HTTPError as error:
        raise failure(error) from error


async def _pieces(response: Response, settings: Settings) -> AsyncIterator[bytes]:
    """The body as it comes, within the limit of its size."""
    size_bytes = 0
    try:
        async for piece in response:
            size_bytes += len(piece)
            if size_bytes > settings.stream_bytes_max:
                raise BadAnswer("the answer is too large")
            yield piece
    except HTTPError as error:
        raise failure(error) from error


@asynccontextmanager
async def _in_time(settings: Settings) -> AsyncIterator[None]:
    """Whatever an answer waits for, its tool server or its caller: so long and no longer."""
    try:
        async with asyncio.timeout(settings.stream_s_max):
            yield
    except TimeoutError:
        raise OutcomeUnknown(
            "upstream_timeout", f"the answer took longer than {settings.stream_s_max} s"
        ) from None


def _content_type(response: Response) -> bytes:
    """The media type without its parameters; empty for a body that is coded in a way nobody asked for."""
    found = b""
    for name, value in response.headers:
        if name == b"content-type":
            found = value.split(b";", 1)[0].strip().lower()
        elif name == b"content-encoding" and value.lower() != b"identity":
            return b""
    return found
