"""Spends from intent through authorization to execution, over the gateway's own routes."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from schemas.ids import new_id
from tests.fixtures.deadlines import HUNG_S
from tests.fixtures.servers import StartOpa
from tests.fixtures.tollroad import BUDGET_CENTS, EXECUTOR, RULES, Tollroad, policy_bundle, tollroad
from tests.fixtures.treasury import LedgerDatabase

ROLES: dict[str, Any] = {"executor": EXECUTOR, "idler": {"tools": {}, "patterns": []}}


@pytest.fixture
async def road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path
) -> AsyncIterator[Tollroad]:
    opa = start_opa([policy_bundle(tmp_path / "policy", ROLES, RULES)])
    async with tollroad(ledger_database, opa, tmp_path) as road:
        yield road


def asked(amount_cents: int = 300, **more: Any) -> dict[str, Any]:
    return {
        "amount_cents": amount_cents,
        "purpose": "api_call",
        "workflow_id": new_id(),
        "policy_version": "1.0",
        "payee": "vendor-x",
    } | more


async def authorized(road: Tollroad, amount_cents: int = 300) -> dict[str, Any]:
    answer = await road.spend("authorize", asked(amount_cents))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.requirement("TRE-01")
@pytest.mark.requirement("TRE-05")
@pytest.mark.requirement("TRE-06")
@pytest.mark.requirement("TRE-08")
async def test_from_intent_through_authorization_to_execution(road: Tollroad) -> None:
    workflow_id = new_id()
    body = asked(300, workflow_id=workflow_id, currency="USD")
    declared = await road.spend("intents", body)
    assert (declared.status_code, declared.json()["status"]) == (201, "intent_created")
    intent_id = declared.json()["id"]

    answer = await road.spend("authorize", {"intent_id": intent_id})
    authorization = answer.json()
    assert answer.status_code == 200
    assert (authorization["approved"], authorization["status"]) == (True, "approved")
    assert authorization["reason"] == "within_daily_budget"
    assert authorization["intent_id"] == intent_id
    assert authorization["ceiling_cents"] == 300
    assert authorization["decision_id"] == answer.headers["x-decision-id"]
    assert authorization["policy"] == {"version": "1.0", "revision": "ab" * 32}
    assert "approval_id" not in authorization

    executed = await road.spend("execute", {"intent_id": intent_id, "recipient_account": "vendor-x"})
    assert (executed.status_code, executed.json()["status"]) == (200, "executed")
    balance = await road.read(f"workflows/{workflow_id}/balance", key="scout-key")
    assert (balance["debits_cents"], balance["credits_cents"], balance["balance_cents"]) == (300, 300, 0)
    entries = (await road.read(f"workflows/{workflow_id}/entries"))["items"]
    assert {entry["journal_entry_id"] for entry in entries} == {executed.json()["journal_entry_id"]}
    decision = await road.ask("GET", f"/v1/decisions/{executed.headers['x-decision-id']}", key="scout-key")
    assert decision.json()["action"]["name"] == "treasury.execute"
    assert decision.json()["journal_entry_id"] == executed.json()["journal_entry_id"]


@pytest.mark.requirement("TRE-02")
@pytest.mark.requirement("TRE-05")
async def test_a_refusal_is_an_answer_and_is_kept(road: Tollroad) -> None:
    for reason, body in {
        "spend_exceeds_ceiling": asked(901),
        "purpose_not_registered": asked(purpose="gambling"),
        "payee_not_allowed": asked(payee="friend"),
        "currency_not_allowed": asked(currency="EUR"),
        "policy_version_inactive": asked(policy_version="0.9"),
    }.items():
        answer = await road.spend("authorize", body)
        told = answer.json()
        assert answer.status_code == 200, answer.text
        assert (told["approved"], told["status"], told["reason"]) == (False, "denied", reason)
        assert reason in {entry["code"] for entry in told["reasons"]}
        assert told["decision_id"] == answer.headers["x-decision-id"]
        kept = await road.read(f"authorizations/{told['authorization_id']}", key="scout-key")
        assert (kept["status"], kept["reason"]) == ("denied", reason)
    assert await road.holds() == []


@pytest.mark.requirement("TRE-11")
async def test_what_the_budget_has_no_room_for_is_denied(road: Tollroad) -> None:
    first, second, third = [await authorized(road, 400) for _ in range(3)]
    assert (first["status"], second["status"], third["status"]) == ("approved", "approved", "denied")
    assert third["reason"] == "budget_exceeded"
    voided = await road.spend("void", {"intent_id": first["intent_id"]})
    assert (voided.status_code, voided.json()["status"]) == (200, "voided")
    assert (await authorized(road, 400))["status"] == "approved"


@pytest.mark.requirement("TRE-02")
@pytest.mark.requirement("TRE-12")
async def test_a_spend_for_a_person_is_held_and_cannot_be_executed(road: Tollroad) -> None:
    pending = await authorized(road, 600)
    assert (pending["approved"], pending["status"]) == (False, "pending")
    assert pending["approval_id"] == pending["authorization_id"]
    assert await road.holds() == [("placed", 600)]
    answer = await road.spend("execute", {"intent_id": pending["intent_id"], "recipient_account": "vendor-x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "authorization_not_approved")
    assert (await authorized(road, 500))["reason"] == "budget_exceeded"


@pytest.mark.requirement("TRE-03")
async def test_nothing_is_executed_without_an_authorization(road: Tollroad) -> None:
    declared = await road.spend("intents", asked(currency="USD"))
    execution = {"intent_id": declared.json()["id"], "recipient_account": "vendor-x"}
    answer = await road.spend("execute", execution)
    assert (answer.status_code, answer.json()["code"]) == (403, "no_authorization_record")
    assert answer.json()["decision_id"]
    unknown = await road.spend("execute", execution | {"intent_id": new_id()})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


@pytest.mark.requirement("POL-03")
async def test_who_was_judged_is_who_is_credited(road: Tollroad) -> None:
    intent_id = (await authorized(road, 300))["intent_id"]
    for account in ("vendor-y", "scout:pocket", "vendor-", "vendor-xx"):
        answer = await road.spend("execute", {"intent_id": intent_id, "recipient_account": account})
        assert (answer.status_code, answer.json()["code"]) == (403, "recipient_not_allowed")
        assert answer.json()["decision_id"]
    assert await road.holds() == [("placed", 300)]
    answer = await road.spend("execute", {"intent_id": intent_id, "recipient_account": "vendor-x"})
    assert answer.status_code == 200


@pytest.mark.requirement("TRE-04")
async def test_parts_add_up_to_at_most_the_ceiling(road: Tollroad) -> None:
    authorization = await authorized(road, 300)

    async def execute(amount_cents: int) -> Any:
        return await road.spend(
            "execute",
            {
                "intent_id": authorization["intent_id"],
                "recipient_account": "vendor-x",
                "amount_cents": amount_cents,
            },
        )

    above = await execute(301)
    assert (above.status_code, above.json()["code"]) == (403, "spend_exceeds_ceiling")
    assert (await execute(200)).status_code == 200
    rest = await execute(101)
    assert (rest.status_code, rest.json()["code"]) == (403, "spend_exceeds_ceiling")
    assert (await execute(100)).status_code == 200
    assert (await road.read("trial-balance"))["debits_cents"] == 300


@pytest.mark.requirement("TRE-13")
async def test_the_same_key_is_answered_the_same_and_only_for_the_same(road: Tollroad) -> None:
    body = asked()
    first = await road.spend("authorize", body, idempotency_key="k1")
    again = await road.spend("authorize", body, idempotency_key="k1")
    assert first.json() == again.json()
    assert await road.holds() == [("placed", 300)]
    other = await road.spend("authorize", body | {"amount_cents": 301}, idempotency_key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    rival = await road.spend("authorize", body, key="rival-key", idempotency_key="k1")
    assert (rival.status_code, rival.json()["approved"]) == (200, True)
    assert rival.json()["authorization_id"] != first.json()["authorization_id"]
    execution = {"intent_id": first.json()["intent_id"], "recipient_account": "vendor-x"}
    answers = await asyncio.gather(
        *(road.spend("execute", execution, idempotency_key="k2") for _ in range(5))
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (await road.read("trial-balance"))["debits_cents"] == 300


@pytest.mark.requirement("GW-22")
@pytest.mark.requirement("TRE-03")
async def test_another_agents_spend_is_not_there(road: Tollroad) -> None:
    mine = await authorized(road)
    execution = {"intent_id": mine["intent_id"], "recipient_account": "rival"}
    for act, body in (
        ("execute", execution),
        ("void", {"intent_id": mine["intent_id"]}),
        ("authorize", {"intent_id": mine["intent_id"]}),
    ):
        answer = await road.spend(act, body, key="rival-key")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), act
    for path in (f"intents/{mine['intent_id']}", f"authorizations/{mine['authorization_id']}"):
        answer = await road.ask("GET", f"/api/treasury/{path}", key="rival-key")
        assert answer.status_code == 404
        assert await road.read(path) == await road.read(path, key="scout-key")
    theirs = await road.ask("GET", "/api/treasury/holds?status=placed", key="rival-key")
    assert theirs.json()["items"] == []


@pytest.mark.requirement("GW-20")
@pytest.mark.requirement("TRE-01")
async def test_bad_requests_are_named_journalled_and_reach_nothing(road: Tollroad) -> None:
    answer = await road.spend("authorize", asked(0, coupon="x", workflow_id="w"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert {fault["loc"][-1] for fault in answer.json()["detail"]} == {
        "amount_cents",
        "coupon",
        "workflow_id",
    }
    told = await road.ask("GET", f"/v1/decisions/{answer.headers['x-decision-id']}", key="scout-key")
    assert (told.json()["allow"], told.json()["action"]["name"]) == (False, "treasury.authorize")
    for content in (b'{"amount_cents": 1, "amount_cents": 2}', b"\xff", b'{"a": NaN}', b"[" * 10_000):
        answer = await road.ask("POST", "/api/treasury/authorize", key="scout-key", content=content)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    for body, headers, loc in (
        ([], {}, ["body"]),
        (asked(), {"idempotency_key": "a b"}, ["header", "Idempotency-Key"]),
        (asked(), {"idempotency_key": "k" * 201}, ["header", "Idempotency-Key"]),
    ):
        answer = await road.spend("authorize", body, **headers)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, loc)
    assert await road.rows("SELECT id FROM treasury.intents") == []


@pytest.mark.requirement("GW-20")
async def test_other_routes_and_callers_are_refused(road: Tollroad) -> None:
    for method, path, key, status, code in (
        ("GET", "trial-balance", "nobody", 401, "token_invalid"),
        ("POST", "authorize", "nobody", 401, "token_invalid"),
        ("POST", "authorize", "olga-key", 401, "token_invalid"),
        ("GET", "authorize", "scout-key", 405, "method_not_allowed"),
        ("POST", "budgets", "scout-key", 405, "method_not_allowed"),
        ("GET", "coffers", "scout-key", 404, "not_found"),
        ("GET", "../v1/holds", "scout-key", 404, "not_found"),
        ("GET", f"intents/{new_id()}", "scout-key", 404, "not_found"),
    ):
        answer = await road.ask(method, f"/api/treasury/{path}", key=key)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path


@pytest.mark.requirement("POL-01")
async def test_a_role_without_a_spend_section_declares_nothing(road: Tollroad) -> None:
    declared = await road.spend("intents", asked(currency="USD"), key="idle-key")
    assert (declared.status_code, declared.json()["code"]) == (403, "spend_not_allowed")
    assert declared.json()["decision_id"] == declared.headers["x-decision-id"]
    refused = await road.spend("authorize", asked(), key="idle-key")
    assert (refused.status_code, refused.json()["reason"]) == (200, "spend_not_allowed")


@pytest.mark.requirement("GW-19")
async def test_without_treasury_or_policy_nothing_is_authorized(road: Tollroad) -> None:
    road.opa.kill()
    answer = await road.spend("authorize", asked())
    assert (answer.status_code, answer.json()["code"]) == (503, "policy_unavailable")
    assert "OPA" in answer.json()["detail"]
    assert "Errno" not in answer.text
    road.opa.start()
    road.treasury.kill()
    began_s = time.monotonic()
    answer = await road.spend("authorize", asked(901))
    assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
    assert time.monotonic() - began_s < HUNG_S


@pytest.mark.requirement("TRE-11")
async def test_parallel_authorizations_never_pass_the_budget(road: Tollroad) -> None:
    answers = await asyncio.gather(*(road.spend("authorize", asked(150)) for _ in range(20)))
    statuses = [answer.json()["status"] for answer in answers]
    assert statuses.count("approved") == BUDGET_CENTS // 150
    assert statuses.count("denied") == 20 - BUDGET_CENTS // 150


@pytest.mark.requirement("SEC-03")
async def test_an_agents_key_opens_nothing_at_the_treasury_itself(road: Tollroad) -> None:
    for token in ("scout-key", hashlib.sha256(b"token-of-gateway-0").hexdigest(), "x"):
        headers = {"authorization": f"Bearer {token}", "x-tenant": "acme", "x-principal": "scout"}
        answer = await road.client.get(road.treasury.url + "/v1/trial-balance", headers=headers)
        assert answer.status_code == 401
