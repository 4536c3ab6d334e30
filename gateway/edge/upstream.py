"""The way out: one pool of connections a tool server, and what their failures mean for a call.

    nothing was sent                   UpstreamFailed   upstream_unreachable
    sent, no answer in time            OutcomeUnknown   upstream_timeout
    sent, the connection ended         OutcomeUnknown   upstream_unreachable
    an answer that cannot be read      OutcomeUnknown   upstream_invalid

Only the first is certain: whatever was sent may have been done, and is never sent again. A failure of the
request's own body (too large, too slow, its caller gone) is the caller's, and comes out as it went in.
"""

import ssl
from collections.abc import AsyncIterable, Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from adapters.http1 import (
    BadAnswer,
    BrokenAnswer,
    ConnectFailed,
    Headers,
    HTTPError,
    Limits,
    NoAnswer,
    Pool,
    Response,
    TcpAddress,
)
from gateway.config import Settings
from gateway.core.classify import Server
from gateway.errors import BadRequest, OutcomeUnknown, Refusal, UpstreamFailed

_PORTS: Final = {"http": 80, "https": 443}


class _Base(NamedTuple):
    """`path` is the URL's own; below `stem` goes the path of an HTTP tool, which begins with a slash."""

    pool: Pool
    path: bytes
    stem: bytes


class Upstream:
    """Sends to tool servers over connections that it keeps; one of these a worker."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.upstream_timeout_s
        self._limits = Limits(
            connections_max=settings.upstream_connections_max,
            waiting_max=settings.calls_max,
            connect_timeout_s=settings.upstream_connect_timeout_s,
            stall_s=settings.upstream_idle_timeout_s,
            head_bytes_max=settings.header_bytes_max,
            headers_max=settings.header_count_max,
        )
        self._bases: dict[str, _Base] = {}
        self._tls: ssl.SSLContext | None = None

    async def send(
        self,
        server: Server,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
        begun: Callable[[], None] | None = None,
        patience_s: float = 0.0,
    ) -> Response:
        """Send one request; `target` is the path and query below the server's URL. `begun` is called when
        there is a connection for it; where `patience_s` is longer than the settings', the tool may be silent
        for so long.

        Raises `UpstreamFailed`, `OutcomeUnknown`, and what the request's own body raised.
        """
        base = self._bases.get(server.url) or self._open(server.url)
        path = base.stem + target if target else base.path
        try:
            return await base.pool.send(
                method, path, headers, body, self._timeout_s, begun=begun, patience_s=patience_s
            )
        except ValueError as error:
            raise BadRequest("malformed", f"this cannot be sent to a tool server: {error}") from error
        except HTTPError as error:
            raise failure(error) from error

    def _open(self, url: str) -> _Base:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UpstreamFailed("upstream_unreachable", "the tool server's URL is not one of HTTP")
        if parts.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        address = TcpAddress(parts.hostname, parts.port or _PORTS[parts.scheme])
        tls = self._tls if parts.scheme == "https" else None
        pool = Pool(address=address, tls=tls, limits=self._limits)
        path = parts.path.encode("ascii")
        base = self._bases[url] = _Base(pool, path or b"/", path.rstrip(b"/"))
        return base

    async def aclose(self) -> None:
        """Close every connection, those of calls under way too."""
        for base in self._bases.values():
            await base.pool.aclose()


def failure(error: HTTPError) -> Refusal:
    """What a failed exchange means for the call that it was for."""
    match error:
        case NoAnswer() | BrokenAnswer() if isinstance(error.__cause__, Refusal):
            return error.__cause__
        case ConnectFailed():
            return UpstreamFailed("upstream_unreachable", "the tool server cannot be reached")
        case NoAnswer() if error.timed_out:
            return OutcomeUnknown("upstream_timeout", "the tool server did not answer in time")
        case NoAnswer():
            return OutcomeUnknown("upstream_unreachable", "the tool server went away without an answer")
        case BadAnswer():
            return OutcomeUnknown("upstream_invalid", "the tool server's answer cannot be read")
        case _:
            return OutcomeUnknown("upstream_invalid", "the tool server's answer broke off")
