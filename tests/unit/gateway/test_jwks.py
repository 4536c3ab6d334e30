"""When issuers' keys are fetched, over a transport and a clock of the test's own."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from gateway.config import Settings
from gateway.core.identify import Credential
from gateway.core.token import parse
from gateway.edge.identity import RegisteredIdentity
from gateway.edge.jwks import KeySets
from gateway.edge.registry import Registry
from gateway.errors import Unauthenticated, Unavailable
from tests.unit.gateway.test_token import CLAIMS, EC, NOW_S, public, sign

pytestmark = pytest.mark.requirement("GW-02")

URL = "https://idp/jwks"
SETTINGS = Settings(
    registry_file=Path("r"),
    journal_dir=Path("j"),
    jwks_ttl_s=300,
    jwks_stale_s=600,
    jwks_refetch_s=30,
    jwks_bytes_max=10_000,
)
TOKEN = parse(sign(CLAIMS, kid="ec"), 16_384)
ROTATED = ECKey.generate_key("P-256", {"kid": "new"})
NEWER = parse(sign(CLAIMS, ROTATED, kid="new"), 16_384)


class Issuer:
    """Serves a key set, or fails; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.now_s = 0.0
        self.answer: httpx.Response | Exception = httpx.Response(200, json=public(EC))
        self.sets = KeySets(SETTINGS, lambda: self.now_s, httpx.MockTransport(self._serve))

    async def _serve(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def kids(self, token: Any = TOKEN) -> list[str | None]:
        return [key.kid for key in await self.sets.keys_for(token, URL)]


async def test_keys_are_fetched_once_for_many() -> None:
    issuer = Issuer()
    assert await asyncio.gather(*(issuer.kids() for _ in range(5))) == [["ec"]] * 5
    assert await issuer.kids() == ["ec"]
    assert issuer.asked == 1


async def test_an_unknown_key_has_them_fetched_again_but_not_too_often() -> None:
    issuer = Issuer()
    await issuer.kids()
    await issuer.kids(NEWER)
    assert issuer.asked == 1
    issuer.now_s = 31
    issuer.answer = httpx.Response(200, json=public(EC, ROTATED))
    assert await issuer.kids(NEWER) == ["ec", "new"]
    assert issuer.asked == 2


async def test_while_the_issuer_is_away_its_last_keys_are_good_for_a_while() -> None:
    issuer = Issuer()
    await issuer.kids()
    issuer.answer = httpx.ConnectError("away")
    issuer.now_s = 301
    assert await issuer.kids() == ["ec"]
    assert await issuer.kids() == ["ec"]
    assert issuer.asked == 2
    issuer.now_s = 901
    with pytest.raises(Unavailable):
        await issuer.kids()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"location": "https://elsewhere"}),
        httpx.Response(200, text="not json"),
        httpx.Response(200, text='{"keys": [], "keys": []}'),
        httpx.Response(200, text=json.dumps({"keys": ["x" * 20_000]})),
        httpx.ReadTimeout("slow"),
    ],
)
async def test_an_answer_that_is_no_key_set_is_no_answer(answer: Any) -> None:
    issuer = Issuer()
    issuer.answer = answer
    with pytest.raises(Unavailable):
        await issuer.kids()
    await issuer.sets.aclose()


def identity(tmp_path: Path, issuer: Issuer) -> RegisteredIdentity:
    scout = {"agent": "scout", "role": "executor", "tenant": "acme"}
    document = {
        "tenant": "acme",
        "servers": {},
        "keys": {},
        "issuers": [
            {
                "issuer": "https://idp",
                "audience": "tollhouse",
                "jwks_url": URL,
                "algorithms": ["ES256"],
                "subjects": {"scout": scout},
            }
        ],
    }
    file = tmp_path / "registry.json"
    file.write_text(json.dumps(document))
    return RegisteredIdentity(Registry(file), issuer.sets, SETTINGS, lambda: NOW_S)


async def test_a_token_stands_for_what_the_registry_says_of_its_subject(tmp_path: Path) -> None:
    known = identity(tmp_path, Issuer())
    principal = await known.identify(Credential(sign(CLAIMS | {"role": "executive", "tenant": "evil"})))
    assert (principal.id, principal.role, principal.tenant, principal.method) == (
        "scout",
        "executor",
        "acme",
        "jwt",
    )


@pytest.mark.parametrize(
    ("claims", "key"),
    [({"sub": "stranger"}, EC), ({"iss": "https://evil"}, EC), ({}, ROTATED)],
)
async def test_a_stranger_stays_one(claims: dict[str, Any], key: ECKey, tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await identity(tmp_path, Issuer()).identify(Credential(sign(CLAIMS | claims, key)))
    assert refused.value.code == "token_invalid"


async def test_no_credential_and_a_wrong_key_have_their_own_codes(tmp_path: Path) -> None:
    known = identity(tmp_path, Issuer())
    for bearer, code in ((None, "token_missing"), ("nonsense", "token_invalid")):
        with pytest.raises(Unauthenticated) as refused:
            await known.identify(Credential(bearer))
        assert refused.value.code == code
