"""Signing warrants: the file of the key and the token, checked with another library."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from gateway.edge.warrants import KeyUnusable, Signer, generate, public_entry
from schemas.warrant import LIFETIME_S


def verified(token: str, public_jwk: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    registry = jws.JWSRegistry(algorithms=["Ed25519"])
    signed = jws.deserialize_compact(token, OKPKey.import_key(public_jwk), registry=registry)
    return signed.headers(), orjson.loads(signed.payload)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "signing.jwk"
    generate(path)
    return path


@pytest.mark.requirement("TRE-03")
def test_a_warrant_verifies_with_the_public_half_alone(key_file: Path) -> None:
    entry = public_entry(key_file)
    token = Signer(key_file, "gateway-1", lambda: 1000.9).sign({"tenant": "acme"})
    header, claims = verified(token, entry["public_jwk"])
    assert header == {"alg": "Ed25519", "typ": "warrant+jwt", "kid": entry["kid"]}
    assert (claims["iss"], claims["iat"], claims["exp"]) == ("gateway-1", 1000, 1000 + LIFETIME_S)
    assert claims["tenant"] == "acme"
    assert "d" not in entry["public_jwk"]


@pytest.mark.requirement("TRE-03")
def test_every_warrant_has_a_nonce_of_its_own_that_no_claim_can_set(key_file: Path) -> None:
    signer = Signer(key_file, "gateway-1", lambda: 0)
    public = public_entry(key_file)["public_jwk"]
    nonces = {verified(signer.sign({"jti": "mine", "exp": 9**9}), public)[1]["jti"] for _ in range(50)}
    assert len(nonces) == 50
    assert "mine" not in nonces


def test_the_kid_is_the_thumbprint(key_file: Path) -> None:
    entry = public_entry(key_file)
    assert OKPKey.import_key(entry["public_jwk"]).thumbprint() == entry["kid"]


def test_a_new_key_is_private_and_never_overwrites(key_file: Path) -> None:
    assert key_file.stat().st_mode & 0o777 == 0o600
    before = key_file.read_bytes()
    with pytest.raises(FileExistsError):
        generate(key_file)
    assert key_file.read_bytes() == before


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_not_used(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(KeyUnusable, match="0600"):
        Signer(key_file, "gateway-1", lambda: 0)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"[]", "not an Ed25519"),
        (b'{"kty": "EC", "crv": "P-256"}', "not an Ed25519"),
        (b'{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}', "do not belong"),
        (b'{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "?"}', "do not belong"),
        (b'{"kty": "OKP", "crv": "Ed25519", "x": 5, "d": 5}', "do not belong"),
    ],
)
def test_a_file_that_is_no_key_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "signing.jwk"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(KeyUnusable, match=why):
        public_entry(path)


def test_a_missing_file_and_swapped_halves_are_named(tmp_path: Path, key_file: Path) -> None:
    with pytest.raises(KeyUnusable, match="cannot be read"):
        public_entry(tmp_path / "none.jwk")
    other = tmp_path / "other.jwk"
    generate(other)
    mixed = orjson.loads(key_file.read_bytes()) | {"x": public_entry(other)["public_jwk"]["x"]}
    other.write_bytes(orjson.dumps(mixed))
    with pytest.raises(KeyUnusable, match="do not belong"):
        Signer(other, "gateway-1", lambda: 0)
