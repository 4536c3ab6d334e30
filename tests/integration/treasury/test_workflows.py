"""Workflows: created with a budget, halted so that they spend nothing, and settled all the same."""

from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from schemas.ids import new_id
from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury

pytestmark = pytest.mark.requirement("WFL-01")

OLGA = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


async def create(treasury: Treasury, **body: Any) -> httpx.Response:
    return await treasury.http.post("/v1/workflows", json=body, headers=OLGA)


async def move(treasury: Treasury, workflow_id: str, act: str, **headers: str) -> httpx.Response:
    return await treasury.http.post(f"/v1/workflows/{workflow_id}/{act}", headers=OLGA | headers)


async def events(treasury: Treasury, workflow_id: str) -> list[dict[str, Any]]:
    rows = await treasury.sql(
        "SELECT event FROM treasury.outbox WHERE workflow_id = $1 ORDER BY recorded_at, ordinal", workflow_id
    )
    return [orjson.loads(row["event"]) for row in rows]


async def test_an_operator_creates_and_reads_it(treasury_service: Treasury) -> None:
    answer = await create(treasury_service, budget={"amount_cents": 700, "currency": "USD"})
    made = answer.json()
    assert answer.status_code == 201
    assert (made["status"], made["created_by"]) == ("active", "olga")
    assert made["budget"] == {"amount_cents": 700, "currency": "USD"}
    read = await treasury_service.http.get(f"/v1/workflows/{made['id']}", headers=OLGA)
    assert read.json() == made
    [told] = await events(treasury_service, made["id"])
    assert (told["event_type"], told["payload"]) == (
        "workflow.created",
        {"by": "olga", "budget": made["budget"]},
    )
    again = await create(treasury_service, id=made["id"])
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")


async def test_one_that_is_not_there_is_not_found(treasury_service: Treasury) -> None:
    answer = await treasury_service.http.get(f"/v1/workflows/{new_id()}", headers=OLGA)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_they_are_listed_by_page_and_status(treasury_service: Treasury) -> None:
    made = sorted([(await create(treasury_service)).json()["id"] for _ in range(3)])
    await move(treasury_service, made[1], "suspend")
    seen, query = [], {"limit": "2"}
    while True:
        page = (await treasury_service.http.get("/v1/workflows", params=query, headers=OLGA)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == made
    halted = await treasury_service.http.get("/v1/workflows", params={"status": "suspended"}, headers=OLGA)
    assert [item["id"] for item in halted.json()["items"]] == [made[1]]


@pytest.mark.parametrize("act", ["suspend", "finish"])
async def test_halted_it_spends_nothing_and_what_it_holds_can_be_settled(
    treasury_service: Treasury, act: str
) -> None:
    gateway, workflow_id = treasury_service.gateway, new_id()
    spend, given_up, paid = (Spend(workflow_id=workflow_id) for _ in range(3))
    for placed in (spend, given_up):
        assert (await gateway.spend(placed)).json()["approved"]
    call = (await gateway.spend(paid, unsettled="unknown")).json()
    assert (await move(treasury_service, workflow_id, act)).status_code == 200
    declared = Spend(workflow_id=workflow_id)
    for refused in (
        await gateway.spend(declared),
        await gateway.execute(spend),
        await gateway.intent(declared),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "workflow_suspended")
    body = {"amount_cents": 10, "recipient_account": "bank"}
    assert (await gateway.post(f"/v1/holds/{call['hold_id']}/capture", body)).status_code == 200
    assert (await gateway.void(given_up)).status_code == 200
    balance = (await gateway.get(f"/v1/workflows/{workflow_id}/balance")).json()
    assert (balance["held_cents"], balance["captured_cents"]) == (spend.amount_cents, 10)


async def test_an_intent_declared_before_is_not_authorized_while_suspended(
    treasury_service: Treasury,
) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    await gateway.intent(spend)
    await move(treasury_service, spend.workflow_id, "suspend")
    assert (await gateway.authorize(spend)).json()["code"] == "workflow_suspended"
    await move(treasury_service, spend.workflow_id, "resume")
    assert (await gateway.authorize(spend)).json()["approved"]
    assert (await gateway.execute(spend)).status_code == 200
    told = [event["event_type"] for event in await events(treasury_service, spend.workflow_id)]
    assert told == [
        "treasury.intent_created",
        "workflow.suspended",
        "workflow.resumed",
        "treasury.authorized",
        "treasury.executed",
    ]


async def test_moves_are_done_once_and_a_finished_one_stays(treasury_service: Treasury) -> None:
    workflow_id = (await create(treasury_service)).json()["id"]
    first = await move(treasury_service, workflow_id, "suspend", **{"Idempotency-Key": "k"})
    again = await move(treasury_service, workflow_id, "suspend", **{"Idempotency-Key": "k"})
    assert first.json() == again.json()
    assert (await move(treasury_service, workflow_id, "suspend")).json()["status"] == "suspended"
    assert (await move(treasury_service, workflow_id, "finish")).json()["status"] == "finished"
    refused = await move(treasury_service, workflow_id, "resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "workflow_finished")
    assert (await move(treasury_service, workflow_id, "finish")).status_code == 200
    told = [event["event_type"] for event in await events(treasury_service, workflow_id)]
    assert told == ["workflow.created", "workflow.suspended", "workflow.finished"]
    assert (await move(treasury_service, new_id(), "finish")).json()["code"] == "not_found"


async def test_its_budget_is_for_its_whole_life(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    workflow_id = (await create(treasury_service, budget={"amount_cents": 700, "currency": "USD"})).json()[
        "id"
    ]
    first = Spend(400, workflow_id=workflow_id)
    assert (await gateway.spend(first)).json()["approved"]
    over = (await gateway.spend(Spend(301, workflow_id=workflow_id))).json()
    assert (over["approved"], over["reason"]) == (False, "budget_exceeded")
    await gateway.execute(first, 100)
    await gateway.void(first)
    assert (await gateway.spend(Spend(600, workflow_id=workflow_id))).json()["approved"]
    foreign = await gateway.spend(Spend(1, "EUR", workflow_id=workflow_id))
    assert (foreign.status_code, foreign.json()["code"]) == (403, "currency_not_allowed")


async def test_only_an_operator_of_the_tenant_moves_it(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    refused = await gateway.post("/v1/workflows", {})
    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")
    gateway.tenant = "globex"
    spend = Spend()
    await gateway.spend(spend)
    assert (await move(treasury_service, spend.workflow_id, "suspend")).json()["code"] == "not_found"


@pytest.mark.requirement("TRE-11")
async def test_the_database_keeps_it_whoever_writes(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    workflow_id = (await create(treasury_service, budget={"amount_cents": 700, "currency": "USD"})).json()[
        "id"
    ]
    spend = Spend(400, workflow_id=workflow_id)
    placed = (await gateway.spend(spend)).json()
    denied = (await gateway.spend(Spend(301, workflow_id=workflow_id))).json()
    thief = await asyncpg.connect(treasury_service.database.treasury)
    hold = """INSERT INTO treasury.holds
    (tenant_id, id, authorization_id, workflow_id, principal, gateway, amount_cents, currency, status,
     unsettled, placed_at, expires_at)
    VALUES ('acme', $1, $2, $3, 'scout', 'gateway', $4, 'USD', 'placed', 'release', now(), now())"""
    try:
        with pytest.raises(asyncpg.PostgresError, match="may not hold") as refused:
            await thief.execute(hold, new_id(), denied["authorization_id"], workflow_id, 301)
        assert refused.value.sqlstate == "TL001"
        await move(treasury_service, workflow_id, "suspend")
        with pytest.raises(asyncpg.PostgresError, match="may not hold"):
            await thief.execute(hold, new_id(), denied["authorization_id"], workflow_id, 1)
        with pytest.raises(asyncpg.PostgresError, match="may not spend"):
            async with thief.transaction():
                await _execute(thief, placed, workflow_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await thief.execute("UPDATE treasury.workflows SET budget_cents = 1000000")
        await move(treasury_service, workflow_id, "finish")
        with pytest.raises(asyncpg.PostgresError, match="cannot go from"):
            await thief.execute("UPDATE treasury.workflows SET status = 'active' WHERE id = $1", workflow_id)
    finally:
        await thief.close()


async def _execute(thief: asyncpg.Connection, placed: dict[str, Any], workflow_id: str) -> None:
    """A capture that is whole but for its workflow, in one statement."""
    await thief.execute(
        """WITH entry AS (
            INSERT INTO treasury.journal_entries
            (tenant_id, id, workflow_id, authorization_id, amount_cents, currency)
            VALUES ('acme', $1::uuid, $2::uuid, $3::uuid, 400, 'USD')
        ), sides AS (
            INSERT INTO treasury.postings (tenant_id, id, journal_entry_id, workflow_id, authorization_id,
                account, direction, amount_cents, currency)
            SELECT 'acme', gen_random_uuid(), $1, $2, $3, 'thief', side, 400, 'USD'
            FROM unnest(ARRAY['debit', 'credit']) AS side
        ), executed AS (
            INSERT INTO treasury.executions (tenant_id, id, hold_id, authorization_id, workflow_id,
                journal_entry_id, amount_cents, currency, recipient_account)
            VALUES ('acme', gen_random_uuid(), $4::uuid, $3, $2, $1, 400, 'USD', 'thief')
        )
        UPDATE treasury.holds SET captured_cents = 400 WHERE id = $4""",
        new_id(),
        workflow_id,
        placed["authorization_id"],
        placed["hold_id"],
    )
