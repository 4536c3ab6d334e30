"""The one canonical form of a request on the wire: nothing in it can start a second request.

Framing is this file's alone: callers give neither `Content-Length` nor `Transfer-Encoding`, nor anything
else that rules the connection.
"""

import re
from typing import Final

from adapters.http1_answer import Headers

_FRAMING: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_CANONICAL: Final = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [!-~]+ HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t -~\x80-\xff]*\r\n)+\r\n"
)
_BODY_EXPECTED: Final = frozenset({b"POST", b"PUT", b"PATCH"})
CHUNKED: Final = -1


def head(method: bytes, target: bytes, headers: Headers, host: bytes, body_bytes: int | None) -> bytes:
    """The head of a request, ending in its empty line.

    `body_bytes` is the length of the body, None for no body, `CHUNKED` for one of unknown length.
    `host` is used unless the headers name one. Raises `ValueError` for whatever would not be exactly
    one well-formed head.
    """
    lines = [method + b" " + target + b" HTTP/1.1"]
    names = [name.lower() for name, _ in headers]
    if not _FRAMING.isdisjoint(names):
        raise ValueError("a header that belongs to the connection")
    hosts = names.count(b"host")
    if hosts > 1:
        raise ValueError("two hosts in one request")
    if not hosts:
        lines.append(b"host: " + host)
    lines += [name + b": " + value for name, value in headers]
    if body_bytes == CHUNKED:
        lines.append(b"transfer-encoding: chunked")
    elif body_bytes is not None:
        lines.append(b"content-length: %d" % body_bytes)
    elif method in _BODY_EXPECTED:
        lines.append(b"content-length: 0")
    text = b"\r\n".join(lines) + b"\r\n\r\n"
    if text.count(b"\n") != len(lines) + 1 or _CANONICAL.fullmatch(text) is None:
        raise ValueError("the request head is not well formed")
    return text


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; the data may not be empty, for that would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK: Final = b"0\r\n\r\n"
