"""Tokens, read strictly; keys, only those that can verify."""

import base64
import hmac
import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from gateway.core.token import parse, subject, verifying_keys
from gateway.errors import Unauthenticated
from tests.fixtures.growth import TIMES_LARGER, grows_linearly

pytestmark = pytest.mark.requirement("GW-02")

NOW_S = 1_800_000_000.0
EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
CLAIMS: dict[str, Any] = {"iss": "https://idp", "aud": "tollhouse", "sub": "scout", "exp": NOW_S + 60}
ALLOWED = ("ES256", "RS256", "PS256", "EdDSA")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims: Any, key: Key = EC, algorithm: str = "ES256", **header: Any) -> str:
    text = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return jws.serialize_compact({"alg": algorithm, **header}, text, key, algorithms=[algorithm])


def public(*keys: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def verify(token: str, document: Any = None) -> str:
    keys = verifying_keys(public(EC, RSA, ED) if document is None else document)
    return subject(parse(token, 16_384), keys, ALLOWED, "tollhouse", NOW_S, 5)


@pytest.mark.parametrize(
    "token",
    [
        sign(CLAIMS),
        sign(CLAIMS, kid="ec"),
        sign(CLAIMS, typ="at+jwt"),
        sign(CLAIMS, RSA, "RS256", kid="rsa"),
        sign(CLAIMS, RSA, "PS256"),
        sign(CLAIMS, ED, "EdDSA", typ="JWT"),
        sign(CLAIMS | {"aud": ["other", "tollhouse"]}),
        sign(CLAIMS | {"nbf": NOW_S - 1.5, "iat": NOW_S}),
        sign(CLAIMS | {"exp": NOW_S - 4}),
    ],
)
def test_a_good_token_names_its_subject(token: str) -> None:
    assert verify(token) == "scout"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW_S - 5},
        {"exp": str(NOW_S + 60)},
        {"exp": True},
        {"exp": None},
        {"nbf": NOW_S + 6},
        {"nbf": "0"},
        {"iat": NOW_S + 6},
        {"iat": False},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": ["tollhouse", 7]},
        {"aud": {"tollhouse": 1}},
        {"aud": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"iss": 7},
    ],
)
def test_a_claim_of_another_type_or_time_refuses(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verify(sign(CLAIMS | claims))
    assert refused.value.code == "token_invalid"


@pytest.mark.parametrize("absent", ["exp", "aud", "sub", "iss"])
def test_a_claim_that_must_be_there_is(absent: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(sign({name: value for name, value in CLAIMS.items() if name != absent}))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"jku": "https://evil"},
        {"x5u": "https://evil"},
        {"x5c": []},
        {"jwk": {}},
        {"b64": True},
        {"zip": "DEF"},
        {"typ": "JWE"},
        {"typ": 7},
        {"kid": 7},
        {"kid": "absent"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": 7},
        {"alg": None},
    ],
)
def test_a_header_says_nothing_but_algorithm_type_and_key(header: dict[str, Any]) -> None:
    _, payload, signature = sign(CLAIMS).split(".")
    forged = b64(json.dumps({"alg": "ES256"} | header).encode())
    with pytest.raises(Unauthenticated):
        verify(f"{forged}.{payload}.{signature}")


def test_the_public_key_is_no_secret_to_sign_with() -> None:
    signed = b64(b'{"alg":"HS256"}') + "." + b64(json.dumps(CLAIMS).encode())
    mac = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    with pytest.raises(Unauthenticated):
        verify(f"{signed}.{b64(mac)}")


@pytest.mark.parametrize(
    "claims",
    [
        b"[]",
        b"7",
        b"",
        b'{"iss":"a","iss":"https://idp"}',
        b"\xef\xbb\xbf{}",
        b'{"iss":"\xff"}',
        b'{"a":NaN}',
    ],
)
def test_claims_are_one_strict_json_object(claims: bytes) -> None:
    header, _, signature = sign(CLAIMS).split(".")
    with pytest.raises(Unauthenticated):
        verify(f"{header}.{b64(claims)}.{signature}")


@given(st.data())
def test_no_changed_character_is_taken(data: st.DataObject) -> None:
    token = GOOD
    at = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.characters(codec="ascii"))
    if char == token[at]:
        return
    with pytest.raises(Unauthenticated):
        verify(token[:at] + char + token[at + 1 :])


GOOD = sign(CLAIMS)


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c.d", "..", GOOD + "=", " " + GOOD, GOOD + "\n", "a" * 20_000]
)
def test_a_token_is_three_parts_of_canonical_base64url(text: str) -> None:
    with pytest.raises(Unauthenticated):
        verify(text)


@pytest.mark.parametrize(
    "entry",
    [
        OctKey.generate_key(256, {"kid": "ec"}).as_dict(private=True),
        RSA.as_dict(private=False) | {"n": b64(b"\xff" * 128)},
        EC.as_dict(private=False) | {"use": "enc"},
        EC.as_dict(private=False) | {"key_ops": ["sign"]},
        EC.as_dict(private=False) | {"key_ops": 7},
        EC.as_dict(private=False) | {"alg": "RS256"},
        EC.as_dict(private=False) | {"alg": ["ES256"]},
        EC.as_dict(private=False) | {"x": "AAAA"},
        EC.as_dict(private=False) | {"x": 7},
        EC.as_dict(private=False) | {"crv": "secp256k1"},
        {"kty": "EC"},
        {},
        7,
    ],
)
def test_a_key_that_cannot_verify_is_as_if_it_were_not_there(entry: Any) -> None:
    assert verifying_keys({"keys": [entry]}) == []


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": 7}])
def test_what_is_no_key_set_has_no_keys(document: Any) -> None:
    assert verifying_keys(document) == []


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("unit", [b'\\"', b"1e", b"[", b'"a":1,', b"1"])
def test_a_token_that_nobody_signed_takes_no_longer_than_its_length_explains(unit: bytes) -> None:
    def refuse(text: str) -> None:
        with pytest.raises(Unauthenticated):
            parse(text, len(text))

    head = b"[]" * 9 + b'"'
    small, large = (f"{b64(head + unit * units)}.e30.AA" for units in (1_000, 1_000 * TIMES_LARGER))
    assert grows_linearly(refuse, small, large)
