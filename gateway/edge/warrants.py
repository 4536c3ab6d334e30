"""The signing of warrants, and the key that they are signed with.

The key is an Ed25519 JWK (RFC 8037) in a file that only its owner may read; its `kid` is the RFC 7638
thumbprint, so a key cannot be renamed. The treasury pins the public half. A warrant is a compact JWS
of three parts whose header never changes, so it is encoded once, and a paid call costs one signature.
"""

import base64
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.ids import new_id
from schemas.warrant import ALGORITHM, LIFETIME_S, TYPE


class KeyUnusable(Exception):
    """The key file is missing, readable by others, or no Ed25519 JWK; the message says which."""


class Signer:
    """Signs warrants in the name of one gateway. `clock` gives seconds since the epoch."""

    def __init__(self, key_file: Path, issuer: str, clock: Callable[[], float]) -> None:
        jwk = _read(key_file)
        self._key = Ed25519PrivateKey.from_private_bytes(_unpadded(jwk["d"]))
        self._issuer = issuer
        self._clock = clock
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": _thumbprint(jwk["x"])}
        self._header = _base64url(orjson.dumps(header)) + b"."

    def sign(self, claims: dict[str, Any]) -> str:
        """A warrant of `claims`, issued now: a fresh nonce, good for LIFETIME_S seconds."""
        issued_at = int(self._clock())
        times = {"iss": self._issuer, "jti": new_id(), "iat": issued_at, "exp": issued_at + LIFETIME_S}
        signed = self._header + _base64url(orjson.dumps(claims | times))
        return (signed + b"." + _base64url(self._key.sign(signed))).decode("ascii")


def generate(path: Path) -> None:
    """Make a new key at `path`, 0600 from its first byte; an existing file is never overwritten."""
    key = Ed25519PrivateKey.generate()
    x = _base64url(key.public_key().public_bytes_raw()).decode()
    jwk = _public(x) | {"d": _base64url(key.private_bytes_raw()).decode()}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(orjson.dumps(jwk))
        file.flush()
        os.fsync(file.fileno())


def public_entry(path: Path) -> dict[str, Any]:
    """`{kid, public_jwk}` of the key at `path`: what the treasury pins."""
    x = _read(path)["x"]
    return {"kid": _thumbprint(x), "public_jwk": _public(x)}


def _read(path: Path) -> dict[str, Any]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        jwk: Any = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise KeyUnusable(f"the signing key {path} cannot be read: {error}") from None
    if mode & 0o077:
        raise KeyUnusable(f"the signing key {path} may be read by others (mode {mode:04o}); make it 0600")
    if not isinstance(jwk, dict) or (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519"):
        raise KeyUnusable(f"the signing key {path} is not an Ed25519 key")
    _check_pair(path, jwk)
    return jwk


def _check_pair(path: Path, jwk: dict[str, Any]) -> None:
    """Both halves belong together: a wrong public half would be pinned and refuse every warrant."""
    try:
        key = Ed25519PrivateKey.from_private_bytes(_unpadded(jwk["d"]))
        matches = key.public_key().public_bytes_raw() == _unpadded(jwk["x"])
    except (KeyError, TypeError, ValueError):
        matches = False
    if not matches:
        raise KeyUnusable(f"the halves of the signing key {path} do not belong together")


def _public(x: str) -> dict[str, Any]:
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "alg": ALGORITHM, "use": "sig", "kid": _thumbprint(x)}


def _thumbprint(x: str) -> str:
    members = orjson.dumps({"crv": "Ed25519", "kty": "OKP", "x": x})
    return _base64url(hashlib.sha256(members).digest()).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
