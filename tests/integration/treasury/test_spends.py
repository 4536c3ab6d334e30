"""The path of money: declared, authorized, executed, and told."""

from datetime import UTC, datetime

import orjson
import pytest

from schemas.ids import new_id
from tests.fixtures.treasury import DAY_BUDGET, Spend, Treasury

pytestmark = pytest.mark.requirement("TRE-06")


async def events(treasury: Treasury, workflow_id: str) -> list[str]:
    rows = await treasury.sql(
        "SELECT event FROM treasury.outbox WHERE workflow_id = $1::text::uuid ORDER BY recorded_at, ordinal",
        workflow_id,
    )
    return [orjson.loads(row["event"])["event_type"] for row in rows]


@pytest.mark.requirement("TRE-01")
@pytest.mark.requirement("EVT-03")
@pytest.mark.requirement("TRE-08")
async def test_an_intent_is_authorized_executed_and_posted(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    created = await gateway.intent(spend)
    assert created.status_code == 201, created.text
    assert created.json()["status"] == "intent_created"
    approved = (await gateway.authorize(spend)).json()
    assert (approved["approved"], approved["status"], approved["reason"]) == (
        True,
        "approved",
        "within_daily_budget",
    )
    executed = await gateway.execute(spend)
    assert executed.status_code == 200, executed.text
    assert executed.json()["amount_cents"] == 5000
    entries = (await gateway.get(f"/v1/workflows/{spend.workflow_id}/entries")).json()["items"]
    assert {(item["account"], item["direction"], item["amount_cents"]) for item in entries} == {
        ("vendor:1", "debit", 5000),
        ("tollhouse:operating", "credit", 5000),
    }
    balance = (await gateway.get(f"/v1/workflows/{spend.workflow_id}/balance")).json()
    assert balance == {
        "workflow_id": spend.workflow_id,
        "debits_cents": 5000,
        "credits_cents": 5000,
        "balance_cents": 0,
        "held_cents": 0,
        "captured_cents": 5000,
    }
    assert await events(treasury_service, spend.workflow_id) == [
        "treasury.intent_created",
        "treasury.authorized",
        "treasury.executed",
    ]
    intent = (await gateway.get(f"/v1/intents/{spend.id}")).json()
    assert (intent["status"], intent["authorization"]["status"]) == ("executed", "executed")


@pytest.mark.requirement("TRE-05")
async def test_what_policy_refused_is_kept_with_its_reasons(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    reasons = [{"code": "purpose_not_registered", "message": "no such purpose", "rule": None}]
    answer = await gateway.spend(spend, verdict="denied", reasons=reasons, ceiling_cents=0, budgets=[])
    assert answer.status_code == 200
    denied = answer.json()
    assert (denied["approved"], denied["status"], denied["reason"], denied["hold_id"]) == (
        False,
        "denied",
        "purpose_not_registered",
        None,
    )
    kept = (await gateway.get(f"/v1/authorizations/{denied['authorization_id']}")).json()
    assert kept == denied
    refused = await gateway.execute(spend)
    assert (refused.status_code, refused.json()["code"]) == (403, "no_authorization_record")
    assert (await gateway.spend(spend)).json()["code"] == "duplicate"
    assert (await gateway.authorize(spend)).json()["status"] == "approved"
    assert await events(treasury_service, spend.workflow_id) == [
        "treasury.intent_created",
        "treasury.denied",
        "treasury.authorized",
    ]


@pytest.mark.requirement("TRE-11")
async def test_what_a_budget_refuses_is_a_denial(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    assert (await gateway.spend(Spend(60_000))).json()["approved"]
    spend = Spend(60_000)
    denied = [(await gateway.spend(spend)).json(), (await gateway.authorize(spend)).json()]
    told = {(answer["approved"], answer["status"], answer["reason"]) for answer in denied}
    assert told == {(False, "denied", "budget_exceeded")}
    assert len({answer["authorization_id"] for answer in denied}) == 2
    assert (await gateway.get(f"/v1/intents/{spend.id}")).json()["status"] == "denied"
    assert (await gateway.spend(Spend(40_000))).json()["approved"]
    (budget,) = (await gateway.get("/v1/budgets")).json()["items"]
    assert (budget["held_cents"], budget["remaining_cents"]) == (100_000, 0)
    assert datetime.fromisoformat(budget["window_start"]).astimezone(UTC).hour == 0


@pytest.mark.requirement("TRE-04")
async def test_parts_add_up_to_at_most_the_ceiling(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.spend(spend)
    assert (await gateway.execute(spend, 101)).json()["code"] == "spend_exceeds_ceiling"
    assert (await gateway.execute(spend, 60)).status_code == 200
    above = await gateway.execute(spend, 41)
    assert (above.status_code, above.json()["code"]) == (403, "spend_exceeds_ceiling")
    assert (await gateway.execute(spend)).json()["amount_cents"] == 40
    assert (await gateway.execute(spend)).json()["code"] == "duplicate"
    assert (await gateway.execute(spend, 1)).json()["code"] == "spend_exceeds_ceiling"


@pytest.mark.requirement("TRE-02")
async def test_a_pending_spend_holds_its_money_and_cannot_be_executed(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(70_000)
    answer = await gateway.spend(spend, verdict="pending", approval_role="executive")
    pending = answer.json()
    assert (pending["approved"], pending["status"], pending["reason"]) == (
        False,
        "pending",
        "approval_required",
    )
    refused = await gateway.execute(spend)
    assert (refused.status_code, refused.json()["code"]) == (409, "authorization_not_approved")
    assert (await gateway.spend(Spend(40_000))).json()["reason"] == "budget_exceeded"


async def test_a_void_releases_what_is_held(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100_000)
    await gateway.spend(spend)
    voided = await gateway.void(spend)
    assert (voided.status_code, voided.json()["status"]) == (200, "voided")
    refused = await gateway.execute(spend)
    assert (refused.status_code, refused.json()["code"]) == (409, "authorization_voided")
    assert (await gateway.void(spend)).json()["code"] == "authorization_voided"
    assert (await gateway.spend(Spend(100_000))).json()["approved"]


async def test_a_paid_call_is_captured_once_and_its_rest_is_free(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100_000)
    hold_id = (await gateway.spend(spend, unsettled="unknown")).json()["hold_id"]
    body = {"amount_cents": 30_000, "recipient_account": "tool:bank"}
    captured = await gateway.post(f"/v1/holds/{hold_id}/capture", body)
    assert captured.json()["status"] == "executed"
    assert (await gateway.post(f"/v1/holds/{hold_id}/capture", body)).json()["code"] == "duplicate"
    (budget,) = (await gateway.get("/v1/budgets")).json()["items"]
    assert (budget["held_cents"], budget["captured_cents"]) == (0, 30_000)
    assert budget["limit_cents"] == DAY_BUDGET["limit_cents"]


@pytest.mark.requirement("GW-10")
async def test_an_unknown_outcome_keeps_its_money_until_it_is_known(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100_000)
    hold_id = (await gateway.spend(spend, unsettled="unknown")).json()["hold_id"]
    for _ in range(2):
        unknown = await gateway.post(f"/v1/holds/{hold_id}/unknown", {})
        assert unknown.json() == {"hold_id": hold_id, "status": "unknown"}
    (listed,) = (await gateway.get("/v1/holds", status="unknown")).json()["items"]
    assert listed["id"] == hold_id
    assert (await gateway.void(spend)).json()["code"] == "no_authorization_record"
    assert (await gateway.spend(Spend(1))).json()["reason"] == "budget_exceeded"
    assert (await gateway.post(f"/v1/holds/{hold_id}/void", {})).json()["status"] == "voided"
    assert (await gateway.spend(Spend(1))).json()["approved"]


async def test_only_the_gateway_that_placed_a_hold_settles_it(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    hold_id = (await gateway.spend(spend, unsettled="unknown")).json()["hold_id"]
    for other, held in ((treasury_service.other_gateway, hold_id), (gateway, new_id())):
        refused = await other.post(f"/v1/holds/{held}/void", {})
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    ours = (await gateway.spend(Spend(100))).json()["hold_id"]
    refused = await gateway.post(f"/v1/holds/{ours}/void", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "no_authorization_record")


async def test_the_ledgers_own_accounts_receive_nothing(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.spend(spend)
    refused = await gateway.execute(spend, account="tollhouse:operating")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    assert refused.json()["detail"][0]["loc"] == ["body", "recipient_account"]


async def test_an_intent_has_one_live_authorization(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.spend(spend)
    for _ in range(2):
        again = await gateway.authorize(spend)
        assert (again.status_code, again.json()["code"]) == (409, "duplicate")
        await gateway.execute(spend)


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-03")
async def test_no_warrant_ends_the_hold_of_a_paid_call(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    placed = (await gateway.spend(spend, unsettled="unknown")).json()
    assert placed["unsettled"] == "unknown"
    for refused in (await gateway.void(spend), await gateway.execute(spend), await gateway.execute(spend, 1)):
        assert (refused.status_code, refused.json()["code"]) == (403, "no_authorization_record")
    body = {"amount_cents": 30, "recipient_account": "tool:bank"}
    assert (await gateway.post(f"/v1/holds/{placed['hold_id']}/capture", body)).status_code == 200
    assert (await gateway.execute(spend, 1)).json()["code"] == "no_authorization_record"
    assert (await gateway.void(spend)).json()["code"] == "duplicate"


async def test_a_paid_call_that_waits_for_a_person_may_be_given_up(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.spend(spend, unsettled="unknown", verdict="pending", approval_role="executive")
    assert (await gateway.void(spend)).json()["status"] == "voided"
