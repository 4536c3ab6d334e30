"""One canonical path and one canonical query: what is judged is what is sent.

A path that two servers could read differently is refused: dot segments, empty segments, separators, dots,
percent signs or NUL in encoded form, backslashes, `;` (path parameters), bytes that are not UTF-8. The rest
is decoded and encoded again in one way, so that `%41` and `A` are one path.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import BadRequest

_PATH: Final = re.compile(rb"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})*)+")
_QUERY: Final = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,=:@/?\[\]]|%[0-9A-Fa-f]{2})*")
_ENCODED_TRAP: Final = re.compile(rb"%(?:2[efEF5]|5[cC]|3[bB]|[01][0-9A-Fa-f]|7[fF])")
_DOTS: Final = re.compile(r"/\.+(?:/|$)")
_PATH_SAFE: Final = "/~!$&'()*+,=:@"
_QUERY_SAFE: Final = "~!$'()*,:@/?[]"


def canonical_path(raw: bytes) -> str:
    """The path as it is judged and sent; `raw` begins with a slash. Raises `BadRequest`."""
    if not _PATH.fullmatch(raw) or b"//" in raw:
        raise _malformed("the path has an empty segment or a character that must not stand there")
    if b"%" not in raw:
        path = raw.decode("ascii")
    elif _ENCODED_TRAP.search(raw):
        raise _malformed("the path hides a separator, a dot, a percent sign or a control character")
    else:
        path = _decoded(raw)
    if "/." in path and _DOTS.search(path):
        raise _malformed("the path has a dot segment")
    return path if path.isascii() and b"%" not in raw else quote(path, safe=_PATH_SAFE)


def arguments_of(raw: bytes) -> dict[str, str]:
    """The query's parameters. Raises `BadRequest` for a name that stands there twice."""
    if not raw:
        return {}
    if not _QUERY.fullmatch(raw):
        raise _malformed("the query has a character that must not stand there")
    arguments: dict[str, str] = {}
    for pair in raw.split(b"&"):
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        key = _decoded(name)
        if not key or key in arguments:
            raise _malformed(
                f"the query names {key!r} twice" if key else "the query has a nameless parameter"
            )
        arguments[key] = _decoded(value)
    return arguments


def canonical_query(arguments: dict[str, str]) -> str:
    """The query as it is sent, in the order in which it came."""
    return "&".join(
        f"{quote(name, safe=_QUERY_SAFE)}={quote(value, safe=_QUERY_SAFE)}"
        for name, value in arguments.items()
    )


def _decoded(raw: bytes) -> str:
    data = unquote_to_bytes(raw) if b"%" in raw else raw
    if b"\0" in data:
        raise _malformed("NUL must not stand in a path or query")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("the path and the query must be UTF-8") from None


def _malformed(why: str) -> BadRequest:
    return BadRequest("malformed", why)
