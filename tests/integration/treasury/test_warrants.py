"""No spend without the gateway's word for exactly this, once, in time."""

import base64
import time
from typing import Any

import httpx
import orjson
import pytest

from gateway.edge.warrants import Signer
from schemas.decision import BUDGETS_MAX
from schemas.ids import new_id
from tests.fixtures.treasury import DAY_BUDGET, Spend, Treasury

pytestmark = pytest.mark.requirement("TRE-03")


def refused(answer: httpx.Response, why: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (403, "no_authorization_record"), answer.text
    assert why in answer.json()["detail"], answer.text


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"tenant": "globex"}, "another tenant"),
        ({"principal": "mallory"}, "another principal"),
        ({"act": "execute"}, "another act"),
        ({"intent_id": new_id()}, "another intent"),
        ({"intent_sha256": "0" * 64}, "other terms"),
        ({"currency": "EUR"}, "another currency"),
        ({"aud": "somebody-else"}, "not exact: aud"),
        ({"surprise": 1}, "not exact: surprise"),
        ({"ceiling_cents": "many"}, "ceiling_cents"),
        ({"budgets": [DAY_BUDGET] * (BUDGETS_MAX + 1)}, "not exact: budgets"),
        ({"budgets": [DAY_BUDGET | {"limit_cents": 2**53}]}, "not exact: budgets.0.limit_cents"),
        ({"budgets": [DAY_BUDGET | {"key": "k" * 201}]}, "not exact: budgets.0.key"),
    ],
)
async def test_a_warrant_for_anything_else_is_refused(
    treasury_service: Treasury, claims: dict[str, Any], why: str
) -> None:
    refused(await treasury_service.gateway.spend(Spend(), **claims), why)
    assert await treasury_service.sql("SELECT 1 FROM treasury.intents") == []
    assert await treasury_service.sql("SELECT 1 FROM treasury.idempotency") == []


@pytest.mark.parametrize("named", ["vendor:2", None])
async def test_a_warrant_credits_the_account_that_was_judged_alone(
    treasury_service: Treasury, named: str | None
) -> None:
    spend = Spend()
    await treasury_service.gateway.spend(spend)
    refused(await treasury_service.gateway.execute(spend, recipient_account=named), "another account")
    assert await treasury_service.sql("SELECT 1 FROM treasury.executions") == []


@pytest.mark.parametrize(("shift_s", "why"), [(-120, "expired"), (60, "not good yet")])
async def test_a_warrant_is_good_in_its_time_alone(
    treasury_service: Treasury, shift_s: int, why: str
) -> None:
    gateway = treasury_service.gateway
    gateway.signer = Signer(gateway.key_file, gateway.name, lambda: time.time() + shift_s)
    refused(await gateway.spend(Spend()), why)


async def test_a_warrant_is_good_once(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    await gateway.intent(spend)
    warrant = gateway.signer.sign(gateway.claims(spend, verdict="denied"))
    body = {"intent_id": spend.id, "warrant": warrant}
    assert (await gateway.post("/v1/authorizations", body)).status_code == 200
    refused(await gateway.post("/v1/authorizations", body), "used before")


async def test_a_warrant_of_another_gateway_is_refused(treasury_service: Treasury) -> None:
    gateway, other = treasury_service.gateway, treasury_service.other_gateway
    spend = Spend()
    for signer, why in (
        (other.signer, "header is not that"),
        (Signer(gateway.key_file, "gateway-2", time.time), "another gateway"),
    ):
        body = {"intent": spend.document(), "warrant": signer.sign(gateway.claims(spend))}
        refused(await gateway.post("/v1/spends", body), why)


def forged(part: int, change: Any) -> Any:
    def forge(token: str) -> str:
        parts = token.split(".")
        decoded = base64.urlsafe_b64decode(parts[part] + "==")
        parts[part] = base64.urlsafe_b64encode(change(decoded)).rstrip(b"=").decode()
        return ".".join(parts)

    return forge


def member(name: str, value: Any) -> Any:
    return lambda text: orjson.dumps(orjson.loads(text) | {name: value})


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (forged(0, member("alg", "none")), "header"),
        (forged(0, member("alg", "EdDSA")), "header"),
        (forged(0, member("typ", "JWT")), "header"),
        (forged(0, member("jwk", {})), "header"),
        (forged(0, lambda _: b"[]"), "not a JSON object"),
        (forged(1, member("budgets", [])), "signature"),
        (forged(1, member("ceiling_cents", 10**9)), "signature"),
        (forged(1, lambda text: text[:-1] + b',"jti":"x"}'), "stands twice"),
        (forged(2, lambda text: bytes(len(text))), "signature"),
        (lambda token: token[:-1] + chr(ord(token[-1]) + 1), "canonical"),
        (lambda token: token + "AAA", "base64url"),
        (lambda token: token.replace(".", "", 1), "compact"),
        (lambda token: token + "A" * 20, ""),
        (lambda _: "a.b", "compact"),
    ],
)
async def test_a_forged_warrant_is_refused(treasury_service: Treasury, forge: Any, why: str) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    warrant = forge(gateway.signer.sign(gateway.claims(spend)))
    refused(await gateway.post("/v1/spends", {"intent": spend.document(), "warrant": warrant}), why)
    assert await treasury_service.sql("SELECT 1 FROM treasury.intents") == []


async def test_without_an_intent_or_authorization_nothing_is_executed(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    refused(await gateway.execute(spend), "no such intent")
    await gateway.intent(spend)
    refused(await gateway.execute(spend), "no authorization")
    refused(await gateway.void(spend), "no authorization")
    await gateway.authorize(spend)
    refused(await gateway.execute(spend, verdict="denied"), "policy does not allow")
    above = await gateway.execute(spend, 5000, ceiling_cents=4999)
    assert above.json()["code"] == "spend_exceeds_ceiling"


async def test_a_spend_above_the_warrants_ceiling_is_denied(treasury_service: Treasury) -> None:
    denied = (await treasury_service.gateway.spend(Spend(100), ceiling_cents=99)).json()
    assert (denied["status"], denied["reason"]) == ("denied", "spend_exceeds_ceiling")


async def test_another_agents_intent_is_not_touched(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    await gateway.spend(spend)
    gateway.principal = "mallory"
    refused(await gateway.execute(spend), "did not declare")
    assert (await gateway.get(f"/v1/intents/{spend.id}")).status_code == 404
