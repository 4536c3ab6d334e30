"""JSON Web Tokens, read strictly.

The signature is checked by joserfc; what a library leaves open is closed here. A token is three parts of
canonical base64url; its header and claims are strict JSON objects; its algorithm is one that the issuer is
registered with and that fits the key's type; nothing in it can name a key, an address of one, or an
extension. Times are whole or fractional numbers of seconds, never strings or booleans; `exp` must be there.

In a key set only keys that can verify signatures count: RSA of 2048 bits and more, the NIST curves, Ed25519.
Symmetric keys, keys for encryption and small keys are as if they were not there.
"""

import base64
import binascii
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from gateway.errors import Unauthenticated
from schemas.strict_json import NotStrictJSON, read

KEYS_MAX: Final = 64
RSA_BITS_MIN: Final = 2_048
RSA_BITS_MAX: Final = 8_192
_DEPTH_MAX: Final = 8
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_HEADER_NAMES: Final = frozenset({"alg", "typ", "kid"})
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")
_CURVES: Final = {"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}, "Ed25519": {"EdDSA", "Ed25519"}}
_RSA: Final = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token that nobody has verified yet: what is needed to find its issuer and its key."""

    text: str
    algorithm: str
    kid: str | None
    claims: dict[str, Any]

    @property
    def issuer(self) -> str:
        """The `iss` claim."""
        return str(self.claims["iss"])


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key of a set, with the algorithms that it may be used with."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key


def parse(text: str, bytes_max: int) -> Token:
    """Read a token without believing it. Raises `Unauthenticated`."""
    parts = text.split(".")
    if len(text) > bytes_max or len(parts) != 3:
        raise _invalid("it is not a token of three parts")
    header = _json(_decoded(parts[0]))
    claims = _json(_decoded(parts[1]))
    _decoded(parts[2])
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if header.keys() - _HEADER_NAMES:
        raise _invalid("its header says more than algorithm, type and key id")
    if not isinstance(algorithm, str) or not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise _invalid("its header is not that of a token")
    if "kid" in header and not isinstance(kid, str):
        raise _invalid("its key id is not a text")
    if not isinstance(claims.get("iss"), str):
        raise _invalid("it names no issuer")
    return Token(text, algorithm, kid, claims)


def candidates(token: Token, keys: Iterable[VerifyingKey]) -> list[VerifyingKey]:
    """The keys that may have signed it: by its key id if it has one, and by its algorithm."""
    return [
        key
        for key in keys
        if token.algorithm in key.algorithms and (token.kid is None or key.kid == token.kid)
    ]


def subject(
    token: Token,
    keys: Iterable[VerifyingKey],
    allowed: Iterable[str],
    audience: str,
    now_s: float,
    leeway_s: float,
) -> str:
    """The verified `sub`. Raises `Unauthenticated` for whatever is wrong, in the same words for all keys."""
    if token.algorithm not in set(allowed):
        raise _invalid("its algorithm is not allowed for this issuer")
    if not any(_verifies(token, key) for key in candidates(token, keys)):
        raise _invalid("its signature is not one of its issuer's")
    claims = token.claims
    _check_times(claims, now_s, leeway_s)
    audiences = claims.get("aud")
    listed = [audiences] if isinstance(audiences, str) else audiences
    if (
        not isinstance(listed, list)
        or not all(isinstance(one, str) for one in listed)
        or audience not in listed
    ):
        raise _invalid("it is meant for another audience")
    name = claims.get("sub")
    if not isinstance(name, str) or not name:
        raise _invalid("it names no subject")
    return name


def verifying_keys(document: Any) -> list[VerifyingKey]:
    """The usable keys of a JWK set; anything that is no set has none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return []
    keys = [_verifying_key(entry) for entry in entries[:KEYS_MAX] if isinstance(entry, dict)]
    return [key for key in keys if key is not None]


def _verifying_key(entry: dict[str, Any]) -> VerifyingKey | None:
    kid, use, operations, named = (entry.get(name) for name in ("kid", "use", "key_ops", "alg"))
    may_verify = operations is None or (isinstance(operations, list) and "verify" in operations)
    imported = _imported(entry) if may_verify and use in (None, "sig") else None
    if imported is None:
        return None
    key, algorithms = imported
    usable = frozenset(algorithms) if named is None else frozenset(algorithms) & {str(named)}
    return VerifyingKey(kid if isinstance(kid, str) else None, usable, key) if usable else None


def _imported(entry: dict[str, Any]) -> tuple[Key, set[str]] | None:
    public: dict[str, Any] = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    try:
        match public:
            case {"kty": "RSA", "n": str(modulus), "e": str()} if _is_large(modulus):
                return RSAKey.import_key(public), _RSA
            case {"kty": "EC", "crv": "P-256" | "P-384" | "P-521" as curve, "x": str(), "y": str()}:
                return ECKey.import_key(public), _CURVES[curve]
            case {"kty": "OKP", "crv": "Ed25519", "x": str()}:
                return OKPKey.import_key(public), _CURVES["Ed25519"]
    except (JoseError, ValueError, TypeError):
        return None
    return None


def _is_large(modulus: str) -> bool:
    data = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))
    return RSA_BITS_MIN <= int.from_bytes(data).bit_length() <= RSA_BITS_MAX


def _verifies(token: Token, key: VerifyingKey) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # the name EdDSA gave way to Ed25519 (RFC 9864)
            jws.deserialize_compact(token.text, key.key, algorithms=[token.algorithm])
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _check_times(claims: dict[str, Any], now_s: float, leeway_s: float) -> None:
    expires = _seconds(claims, "exp")
    if expires is None or expires + leeway_s <= now_s:
        raise _invalid("it has expired, or never would")
    for name in ("nbf", "iat"):
        begins = _seconds(claims, name)
        if begins is not None and begins - leeway_s > now_s:
            raise _invalid("it is not valid yet")


def _seconds(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _invalid(f"its {name} is not a number")
    return float(value)


def _decoded(part: str) -> bytes:
    """Base64url without padding, in the one form that encodes these bytes."""
    if not _BASE64URL.fullmatch(part):
        raise _invalid("it is not base64url")
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise _invalid("it is not base64url") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode("ascii"):
        raise _invalid("it is not canonical base64url")
    return data


def _json(text: bytes) -> dict[str, Any]:
    try:
        document = read(text, _DEPTH_MAX)
    except NotStrictJSON:
        raise _invalid("it is not strict JSON") from None
    if not isinstance(document, dict):
        raise _invalid("it is not a JSON object")
    return document


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated("token_invalid", f"the token cannot be taken: {why}")
