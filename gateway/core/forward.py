"""What is sent on and what is sent back: headers, and what a status means for the money.

Never sent back: hop-by-hop headers, the ids that only the gateway may set, cookies (an agent's requests carry
none either) and `Alt-Svc`, which would show a client the way around the gateway.
"""

import re
from typing import Final, Literal

from gateway.errors import OutcomeUnknown

Header = tuple[bytes, bytes]

_KEPT_HERE: Final = frozenset(
    b"connection keep-alive proxy-connection te trailer trailers transfer-encoding upgrade proxy-authenticate"
    b" proxy-authentication-info x-decision-id x-correlation-id set-cookie set-cookie2 alt-svc".split()
)
_WELL_FORMED: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9a-z]+\x00[^\x00-\x08\x0a-\x1f\x7f]*\n)*")
_BODILESS: Final = frozenset({204, 304})
STATUS_MIN, STATUS_MAX = 200, 599
ERROR_MIN: Final = 400


def answer_headers(status: int, headers: list[Header]) -> list[Header]:
    """The headers of an upstream's answer that may be sent on. Names are lower-case.

    Raises `OutcomeUnknown` (upstream_invalid) for an answer that cannot be passed on.
    """
    if not STATUS_MIN <= status <= STATUS_MAX:
        raise OutcomeUnknown("upstream_invalid", f"the upstream answered with status {status}")
    named = _named(headers)
    dropped = _KEPT_HERE | named if named else _KEPT_HERE
    if status in _BODILESS:
        dropped |= {b"content-length"}
    kept = [header for header in headers if header[0] not in dropped]
    lines = b"".join([b"%b\0%b\n" % header for header in kept])
    if lines.count(b"\n") != len(kept) or not _WELL_FORMED.fullmatch(lines):
        raise OutcomeUnknown("upstream_invalid", "the upstream answered with a malformed header")
    return kept


def length_of(headers: list[Header]) -> int | None:
    """The body's length in bytes, where the answer tells it."""
    return next((int(value) for name, value in headers if name == b"content-length"), None)


def ending(status: int) -> Literal["succeeded", "failed"]:
    """An answered error is a certain failure."""
    return "failed" if status >= ERROR_MIN else "succeeded"


def _named(headers: list[Header]) -> set[bytes]:
    """What the upstream itself calls hop-by-hop, but never how the body is framed."""
    said = [value for name, value in headers if name == b"connection"]
    named = {token.strip().lower() for value in said for token in value.split(b",")}
    return named - {b"content-length", b"content-type", b"content-encoding"}
