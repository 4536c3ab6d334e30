"""The signature of a warrant, checked with the key that is pinned for the gateway that shows it.

Strict beyond what a JOSE library asks: exactly three canonical base64url parts, a header of exactly
`alg`, `typ` and `kid` with the pinned values, claims that are one strict JSON object. A key or an
address in a header is never looked at.
"""

import base64
import binascii
import re
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from schemas import strict_json
from schemas.warrant import ALGORITHM, TYPE, Warrant
from treasury.core import warrant as word
from treasury.errors import NotAuthorized

CHARS_MAX: Final = 16_384
DEPTH_MAX: Final = 8
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def verify(token: str, kid: str, key: OKPKey) -> Warrant:
    """The warrant in a compact JWS signed by `key`; `NotAuthorized` for anything else."""
    if len(token) > CHARS_MAX or not _COMPACT.fullmatch(token):
        raise _refused("it is not a compact JWS")
    parts = [_decode(part) for part in token.split(".")]
    header, claims = _object(parts[0]), _object(parts[1])
    if header != {"alg": ALGORITHM, "typ": TYPE, "kid": kid}:
        raise _refused("its header is not that of a warrant of this gateway")
    try:
        jws.deserialize_compact(token, key, algorithms=[ALGORITHM])
    except JoseError:
        raise _refused("its signature does not hold") from None
    return word.read(claims)


def _decode(part: str) -> bytes:
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise _refused("a part of it is not base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise _refused("a part of it is not canonical base64url")
    return decoded


def _object(text: bytes) -> dict[str, Any]:
    try:
        document = strict_json.read(text, DEPTH_MAX)
    except strict_json.NotStrictJSON as error:
        raise _refused(str(error)) from None
    if not isinstance(document, dict):
        raise _refused("a part of it is not a JSON object")
    return document


def _refused(why: str) -> NotAuthorized:
    return NotAuthorized(word.CODE, f"the warrant was refused: {why}")
