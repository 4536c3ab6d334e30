"""A provider's webhook: is it really from the provider, now, and unedited?

Stripe's scheme. The header is `t=<seconds>,v1=<hex>[,v1=<hex>…]`, each `v1` an HMAC-SHA256 over
`<t>.<body>` with a secret that the provider and we share. While a secret is changed the provider signs with
the old and the new one, and we know several; one that fits is enough. A time outside of the tolerance, in the
past or the future, is refused, so that what was overheard cannot be sent again later.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from treasury.errors import NotAuthorized

SIGNATURES_MAX: Final = 10
HEADER_CHARS_MAX: Final = 2_000
_TIME: Final = re.compile(r"[0-9]{1,12}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")


def check(header: str, body: bytes, secrets: Iterable[str], now_s: float, tolerance_s: int) -> None:
    """Raise `NotAuthorized` (signature_invalid, signature_stale) unless the body was signed just now."""
    signed_at, signatures = _parse(header)
    expected = [_signature(secret, signed_at, body) for secret in secrets]
    fitting = [
        hmac.compare_digest(known, shown) for known in expected for shown in signatures
    ]  # all of them, so that the time it takes tells nothing
    if not any(fitting):
        raise NotAuthorized("signature_invalid", "the signature does not fit the body")
    if abs(now_s - int(signed_at)) > tolerance_s:
        raise NotAuthorized("signature_stale", f"it was not signed within {tolerance_s} s of now")


def _parse(header: str) -> tuple[str, list[str]]:
    """The one time and the `v1` signatures of a header; other schemes in it are passed over."""
    if len(header) > HEADER_CHARS_MAX:
        raise NotAuthorized("signature_invalid", "the signature header is too long")
    pairs = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1" and _SIGNATURE.fullmatch(value)]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not 0 < len(signatures) <= SIGNATURES_MAX:
        raise NotAuthorized("signature_invalid", "the signature header is not t=…,v1=…")
    return times[0], signatures


def _signature(secret: str, signed_at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), signed_at.encode() + b"." + body, hashlib.sha256).hexdigest()
