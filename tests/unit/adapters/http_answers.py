"""Raw answers, ordinary and hostile, with what our client makes of each.

`accepted` is `(status, body)`; None means refused. `stricter` marks those that a laxer client would read:
they are refused here on purpose.
"""

from typing import NamedTuple


class RawAnswer(NamedTuple):
    name: str
    raw: bytes
    accepted: tuple[int, bytes] | None
    method: bytes = b"GET"
    stricter: str = ""


def _ok(name: str, raw: bytes, body: bytes = b"", status: int = 200, method: bytes = b"GET") -> RawAnswer:
    return RawAnswer(name, raw, (status, body), method)


def _no(name: str, raw: bytes, stricter: str = "") -> RawAnswer:
    return RawAnswer(name, raw, None, stricter=stricter)


_H = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _H + b"Transfer-Encoding: chunked\r\n\r\n"
_LENGTH_5 = _H + b"Content-Length: 5\r\n\r\n"

ORDINARY = (
    _ok("length", _LENGTH_5 + b"hello", b"hello"),
    _ok("empty", _H + b"Content-Length: 0\r\n\r\n"),
    _ok("chunked", _CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    _ok("two chunks", _CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    _ok("upper-case chunk size", _CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    _ok("chunk size with leading zeros", _CHUNKED + b"005\r\nhello\r\n0\r\n\r\n", b"hello"),
    _ok("chunk extension", _CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", b"hello"),
    _ok("trailer", _CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", b"hello"),
    _ok("until close", _H + b"\r\nhello", b"hello"),
    _ok("until close, nothing", _H + b"\r\n"),
    _ok("close with length", _H + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    _ok("1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    _ok("1.0 until close", b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
    _ok("204", b"HTTP/1.1 204 No Content\r\n\r\n", status=204),
    _ok("304", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", status=304),
    _ok("304 with length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", status=304),
    _ok("HEAD with length", _H + b"Content-Length: 5\r\n\r\n", method=b"HEAD"),
    _ok("HEAD chunked", _CHUNKED, method=b"HEAD"),
    _ok("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + _LENGTH_5 + b"hello", b"hello"),
    _ok("103 first", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + _LENGTH_5 + b"hello", b"hello"),
    _ok("no reason", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    _ok("empty reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    _ok("599", b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", status=599),
    _ok("lower-case names", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    _ok("no blank before value", b"HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\nhello", b"hello"),
    _ok("empty value", _H + b"X-Empty:\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    _ok("same header twice", _H + b"A: 1\r\nA: 2\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    _ok("obs-text in a value", _H + b"X-A: \xe9\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    _ok("binary body", _H + b"Content-Length: 4\r\n\r\n\x00\r\n\xff", b"\x00\r\n\xff"),
)

_TWO_LENGTHS = _H + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"
_BOTH = _H + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

HOSTILE = (
    _no("nothing", b""),
    _no("half a status line", b"HTTP/1.1 20"),
    _no("half a head", _H + b"Content-Le"),
    _no("short body", _H + b"Content-Length: 9\r\n\r\nhello"),
    _no("chunks without an end", _CHUNKED + b"5\r\nhello\r\n"),
    _no("chunk cut", _CHUNKED + b"5\r\nhel"),
    _no("chunk size not hex", _CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n"),
    _no("negative chunk size", _CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"),
    _no("chunk size overflows", _CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    _no("chunk longer than said", _CHUNKED + b"2\r\nhello\r\n0\r\n\r\n"),
    _no("not HTTP", b"SSH-2.0-OpenSSH\r\n"),
    _no("HTTP/0.9", b"hello"),
    _no("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "an odd version"),
    _no("HTTP/1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello", "an odd version"),
    _no("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
    _no("status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"),
    _no("status 099", b"HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello", "no such class"),
    _no("status not a number", b"HTTP/1.1 abc OK\r\n\r\n"),
    _no("unasked 101", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "an upgrade"),
    _no("nine interim answers", b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + _LENGTH_5 + b"hello", "a limit"),
    _no("interim answers alone", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3),
    _no("length and chunked", _BOTH, "the length is said twice"),
    _no("two equal lengths", _TWO_LENGTHS, "the length is said twice"),
    _no("two different lengths", _H + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    _no("list of lengths", _H + b"Content-Length: 5, 5\r\n\r\nhello", "the length is said twice"),
    _no("signed length", _H + b"Content-Length: +5\r\n\r\nhello"),
    _no("negative length", _H + b"Content-Length: -5\r\n\r\nhello"),
    _no("hexadecimal length", _H + b"Content-Length: 0x5\r\n\r\nhello"),
    _no("empty length", _H + b"Content-Length:\r\n\r\nhello"),
    _no("length overflows", _H + b"Content-Length: 99999999999999999999999\r\n\r\nhello"),
    _no("gzip, chunked", _H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "another coding"),
    _no("identity coding", _H + b"Transfer-Encoding: identity\r\n\r\nhello", "another coding"),
    _no("xchunked", _H + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "another coding"),
    _no("chunked twice", _H + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "another coding"),
    _no("1.0 chunked", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "a coding in 1.0"),
    _no("blank before colon", _H + b"Content-Length : 5\r\n\r\nhello", "lax names"),
    _no("folded header", _H + b"X-A: 1\r\n 2\r\nContent-Length: 5\r\n\r\nhello", "folding"),
    _no("header without colon", _H + b"nonsense\r\nContent-Length: 5\r\n\r\nhello"),
    _no("null in a value", _H + b"X-A: a\x00b\r\nContent-Length: 5\r\n\r\nhello"),
    _no("bare return in a value", _H + b"X-A: a\rb\r\nContent-Length: 5\r\n\r\nhello"),
    _no("lines end in LF", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "bare line feeds"),
    _no("200 headers", _H + b"A: 1\r\n" * 200 + b"Content-Length: 5\r\n\r\nhello", "a limit"),
    _no("a long header", _H + b"A: " + b"x" * 40_000 + b"\r\nContent-Length: 5\r\n\r\nhello", "a limit"),
)

SURPLUS = (
    _ok("a second answer", _LENGTH_5 + b"hello" + _LENGTH_5 + b"later", b"hello"),
    _ok("garbage after the end", _LENGTH_5 + b"hello!!!", b"hello"),
    _ok("a body after 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", status=204),
    _ok("a body after HEAD", _LENGTH_5 + b"hello", method=b"HEAD"),
    _ok("more after the last chunk", _CHUNKED + b"0\r\n\r\nGET / HTTP/1.1\r\n"),
)

ALL = ORDINARY + HOSTILE + SURPLUS
