"""Names of tools that no call can have, and what an HTTP tool's name looks like.

Policy compares names as they are written; a call over HTTP is named by its method and its canonical path
(`gateway.core.path`), so a name in any other spelling grants nothing.
"""

import re
from collections.abc import Iterator
from typing import Final

from gateway.core.path import canonical_path
from gateway.errors import BadRequest

_HTTP: Final = re.compile(r"(?P<method>[A-Za-z]+) (?P<path>/.*)", re.DOTALL)
_MAY_BE_HTTP: Final = re.compile(r"[A-Za-z]*|[A-Za-z]+ (?:/.*)?", re.DOTALL)


def is_http(tool: str) -> bool:
    """Whether the tool, or all that this pattern covers, is called by a method and a path."""
    fixed, _, _ = tool.partition("*")
    return _HTTP.fullmatch(fixed) is not None


def may_be_http(tool: str) -> bool:
    """Whether the tool, or one that this pattern covers, may be called by a method and a path."""
    fixed, star, _ = tool.partition("*")
    return is_http(tool) or bool(star and _MAY_BE_HTTP.fullmatch(fixed))


def never_called(name: str) -> Iterator[str]:
    """Why no call can have this name, or one that this pattern covers."""
    server, point, tool = name.partition(".")
    if point and not (server and tool):
        yield f"{name} names no {'tool' if server else 'server'}: no call has this name"
    parts = _HTTP.fullmatch(tool)
    if parts is None:
        return
    method, path = parts["method"], parts["path"]
    if method != method.upper():
        yield f"{name}: methods are in capitals, {method.upper()} {path}: no call has this name"
    yield from (f"{name}: {why}: no call has this name" for why in _never_sent(path))


def _never_sent(path: str) -> Iterator[str]:
    """What is wrong with a path that stands in no call as it is written here."""
    if "?" in path:
        yield "the query is no part of a tool's name, it is its arguments"
    elif not ("*" in path and "%" in path):
        try:
            canonical = canonical_path(path.encode())
        except BadRequest as error:
            yield error.detail
        else:
            if canonical != path:
                yield f"this path is written {canonical}"
