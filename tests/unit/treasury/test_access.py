"""Files of callers: used only when every entry is good."""

import json
from pathlib import Path
from typing import Any

import pytest

from treasury.edge.access import Access, AccessUnusable

pytestmark = pytest.mark.requirement("SEC-03")

SHA256 = "0" * 64
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
GATEWAY: dict[str, Any] = {"name": "gateway", "kid": "k", "public_jwk": JWK, "tenants": ["acme"]}


def gateways(folder: Path, text: str) -> Path:
    (folder / "gateways.json").write_text(text)
    return folder / "gateways.json"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        json.dumps({"short": GATEWAY}),
        json.dumps({SHA256: GATEWAY | {"surprise": 1}}),
        json.dumps({SHA256: GATEWAY | {"public_jwk": JWK | {"d": "secret"}}}),
        json.dumps({SHA256: GATEWAY | {"public_jwk": JWK | {"crv": "Ed448"}}}),
        json.dumps({SHA256: GATEWAY | {"public_jwk": {"kty": "OKP", "crv": "Ed25519", "x": "short"}}}),
    ],
)
def test_a_file_that_is_no_good_stops_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(AccessUnusable):
        Access(gateways(tmp_path, text), None)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AccessUnusable):
        Access(tmp_path / "none.json", None)


def test_operators_are_not_needed(tmp_path: Path) -> None:
    access = Access(gateways(tmp_path, json.dumps({SHA256: GATEWAY})), None)
    with pytest.raises(Exception, match="opens nothing"):
        access.caller("guess", "acme", "scout")
