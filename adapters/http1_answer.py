"""What a server answered, read strictly: bytes in, one head and a body out. No socket, no clock.

    HTTPError             everything that can go wrong with one exchange
    ├── ConnectFailed     nothing was sent: the server certainly did not act
    ├── NoAnswer          sent, but no (whole) head came back: the server may have acted
    ├── BadAnswer         the head is garbage or breaks a limit: the server may have acted
    └── BrokenAnswer      a head came, and its body broke off, stalled or turned to garbage

llhttp (by httptools) does the parsing, one fresh parser an answer, so that nothing of one answer can
reach the next. Where its reading leaves two opinions open, the answer is refused here: a transfer coding
other than `chunked`, a length beside a coding, a coding in HTTP/1.0, a switch of protocols that nobody
asked for. An answer is `reusable` only if it ended exactly where its framing says, nothing followed, and
both sides keep the connection alive.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

import httptools

Headers = list[tuple[bytes, bytes]]
BODILESS: Final = frozenset({204, 304})
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_SWITCHING_PROTOCOLS: Final = 101


class HTTPError(Exception):
    """One exchange failed; the subclass says what the server may have done."""


class ConnectFailed(HTTPError):
    """No connection in time: nothing was sent."""


class NoAnswer(HTTPError):
    """The request was sent, and no whole head came back."""

    def __init__(self, message: str, *, timed_out: bool = False, untouched: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.untouched = untouched
        """The connection ended before the first byte of an answer."""


class BadAnswer(HTTPError):
    """The answer cannot be understood in only one way, or breaks a limit."""


class BrokenAnswer(HTTPError):
    """The body did not come to the end that its head announced."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one pool of connections may cost.

    `head_bytes_max` also bounds each stretch of bytes that carries neither head nor body: interim
    answers, chunk extensions, trailers. `stall_s` is the longest silence within a body.
    """

    connections_max: int = 128
    waiting_max: int = 1024
    connect_timeout_s: float = 5.0
    idle_s: float = 30.0
    stall_s: float = 60.0
    head_bytes_max: int = 32 * 1024
    headers_max: int = 128
    interim_max: int = 8
    buffer_bytes_max: int = 256 * 1024


class Answer:
    """One answer while it arrives: httptools calls the `on_` methods."""

    __slots__ = (
        "_bodiless",
        "_fault",
        "_field_bytes",
        "_fruitless_bytes",
        "_interim",
        "_limits",
        "_over",
        "_parser",
        "_until_close",
        "buffered_bytes",
        "chunks",
        "ended",
        "error",
        "headed",
        "headers",
        "reusable",
        "started",
        "status",
    )

    def __init__(self, limits: Limits, *, head_only: bool) -> None:
        self.status = 0
        self.headers: Headers = []
        self.chunks: deque[bytes] = deque()
        self.buffered_bytes = 0
        self.started = self.headed = self.ended = self.reusable = False
        self.error: HTTPError | None = None
        self._limits = limits
        self._bodiless = head_only
        self._until_close = False
        self._interim = 0
        self._field_bytes = 0
        self._fruitless_bytes = 0
        self._fault = ""
        self._over = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises `BadAnswer` before the head, `BrokenAnswer` after it."""
        if self._over:
            self.reusable = False
            return
        self.started = True
        self._fruitless_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._let_go()
            if self.ended:
                self.reusable = False
                return
            raise self._garbage(self._fault or str(error)) from None
        if self.ended:
            self._let_go()
        elif self._fruitless_bytes > self._limits.head_bytes_max:
            self._let_go()
            raise self._garbage("too many bytes without a head or a body")

    def rest(self) -> bytes:
        """What of the body has arrived and was not taken yet."""
        rest = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        self.chunks.clear()
        self.buffered_bytes = 0
        return rest

    def _let_go(self) -> None:
        """Part with the parser, which holds this object's methods: nothing is left to the collector."""
        self._over = True
        del self._parser

    def end_of_stream(self) -> None:
        """The server sent its last byte. Raises unless the answer may end like this."""
        if self.ended:
            return
        if not self.headed:
            raise NoAnswer("the connection ended before an answer", untouched=not self.started)
        if not self._until_close:
            raise BrokenAnswer("the connection ended within the body")
        self.ended = True
        self._let_go()

    def _garbage(self, why: str) -> HTTPError:
        return BrokenAnswer(why) if self.headed else BadAnswer(why)

    def _refuse(self, why: str) -> NoReturn:
        self._fault = why
        raise BadAnswer(why)

    def on_message_begin(self) -> None:
        if self.ended:
            self._refuse("bytes after the end of the answer")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > self._limits.head_bytes_max:
            self._refuse("the head is too large")
        if self.headed:
            return  # a trailer: nobody asked for it, and it may not change the head
        if len(self.headers) >= self._limits.headers_max:
            self._refuse("too many headers")
        lower = name.lower()
        self.headers.append((lower, value if lower in _FRAMING else value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == _SWITCHING_PROTOCOLS:
                self._refuse(f"status {status} was not asked for")
            self._interim += 1
            if self._interim > self._limits.interim_max:
                self._refuse("too many interim answers")
            return
        framing = self._framing()
        self.status = status
        self.headed = True
        self._fruitless_bytes = 0
        self.reusable = self._parser.should_keep_alive()
        if self._bodiless or status in BODILESS:
            self.ended = True
        else:
            self._until_close = framing == "until close"

    def _framing(self) -> Literal["length", "chunked", "until close"]:
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(f"HTTP/{version} is not spoken here")
        said = [header for header in self.headers if header[0] in _FRAMING]
        if not said:
            return "until close"
        if len(said) > 1:
            self._refuse("the length of the body is said twice")
        name, value = said[0]
        if name == b"content-length":
            if not value.isdigit():
                self._refuse("the content length is not a number")
            return "length"
        if value.lower() != b"chunked" or version == "1.0":
            self._refuse("the transfer coding is not chunked")
        return "chunked"

    def on_body(self, data: bytes) -> None:
        if self.ended:
            self._refuse("a body where there can be none")
        self._fruitless_bytes = 0
        self.buffered_bytes += len(data)
        self.chunks.append(data)

    def on_message_complete(self) -> None:
        if self.headed:
            self.ended = True
