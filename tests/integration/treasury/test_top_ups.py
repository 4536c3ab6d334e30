"""Top-ups by webhook: credited once, in the books and in the budget; what runs out is told once."""

import asyncio
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from structlog.testing import capture_logs

from adapters.postgres import Database
from schemas.ids import new_id
from tests.fixtures.servers import eventually
from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury
from treasury.edge.alerts import Rounds, tell_forever
from treasury.edge.providers import Providers, ProvidersUnusable
from treasury.edge.verify import verify

pytestmark = pytest.mark.requirement("TRE-16")

SECRET = "whsec_0123456789abcdef"
TOLD = """
SELECT event FROM treasury.outbox WHERE event ->> 'event_type' = any($1) ORDER BY recorded_at, ordinal
"""
FROM_NOWHERE = """
INSERT INTO treasury.top_ups
SELECT
    tenant_id, uuidv7(), provider, 'evt_x', 'pi_x', budget_key, budget_window, window_start, 5,
    currency, uuidv7()
FROM treasury.top_ups
"""
PREPAID = {"key": "prepaid:acme", "window": "lifetime", "limit_cents": 0}


@pytest.fixture
def treasury_settings(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "webhooks.json"
    file.write_text(
        json.dumps({"stripe": {"secrets": ["whsec_of_yesterday_0", SECRET], "tenants": ["acme"]}})
    )
    return {
        "sweep_interval_ms": 20,
        "alert_interval_ms": 20,
        "alert_batch_max": 1,
        "webhooks_file": file,
    }


def event(amount_cents: int = 1_000, **changes: Any) -> dict[str, Any]:
    paid = {
        "id": f"pi_{new_id()}",
        "amount_received": amount_cents,
        "currency": "usd",
        "metadata": {"tollhouse_budget": "prepaid:acme"},
    }
    return {
        "id": f"evt_{new_id()}",
        "type": "payment_intent.succeeded",
        "data": {"object": paid | changes},
    }


async def send(
    treasury: Treasury, told: Any, at: float | None = None, secret: str = SECRET, provider: str = "stripe"
) -> httpx.Response:
    body = told if isinstance(told, bytes) else orjson.dumps(told)
    seconds = int(time.time() if at is None else at)
    signature = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={seconds},v1={signature}", "Content-Type": "application/json"}
    return await treasury.http.post(f"/v1/webhooks/{provider}", content=body, headers=headers)


async def listed(treasury: Treasury, path: str) -> list[dict[str, Any]]:
    """What an operator reads: a budget that holds nothing yet is no agent's own, nor is a top-up's entry."""
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    return list((await treasury.http.get(f"/v1/{path}", headers=headers)).json()["items"])


async def budget(treasury: Treasury) -> dict[str, Any]:
    (found,) = await listed(treasury, "budgets")
    return found


async def told(treasury: Treasury, *types: str, count: int = 1) -> list[dict[str, Any]]:
    """The payloads of these events, once there are so many; whatever comes too much is there as well."""
    deadline = time.monotonic() + 5
    while True:
        rows = await treasury.sql(TOLD, list(types))
        if len(rows) >= count:
            return [json.loads(row["event"])["payload"] for row in rows]
        assert time.monotonic() < deadline, f"{len(rows)} of {count} events"
        await asyncio.sleep(0.01)


async def spend(treasury: Treasury, amount_cents: int) -> str:
    """The status of a spend that is charged to the prepaid budget, executed where it may be."""
    wanted = Spend(amount_cents)
    status = (await treasury.gateway.spend(wanted, budgets=[PREPAID])).json()["status"]
    if status == "approved":
        await treasury.gateway.execute(wanted)
    return str(status)


async def sound(treasury: Treasury) -> None:
    connection = await asyncpg.connect(treasury.database.admin)
    assert await verify(connection) == []
    await connection.close()


async def test_a_payment_is_credited_and_can_be_spent(treasury_service: Treasury) -> None:
    assert await spend(treasury_service, 1) == "denied"
    answer = await send(treasury_service, event())
    assert answer.status_code == 200, answer.text
    assert (answer.json()["credited"], answer.json()["received"]) == (True, True)
    assert (await budget(treasury_service))["remaining_cents"] == 1_000
    assert await spend(treasury_service, 600) == "approved"
    assert await spend(treasury_service, 401) == "denied"
    assert (await budget(treasury_service))["remaining_cents"] == 400
    sums = await listed(treasury_service, "trial-balance")
    assert {item["account"]: item["debits_cents"] - item["credits_cents"] for item in sums} == {
        "tollhouse:operating": 400,
        "tollhouse:top-ups:stripe": -1_000,
        "vendor:1": 600,
    }
    (payload,) = await told(treasury_service, "treasury.topped_up")
    assert (payload["amount_cents"], payload["balance_cents"], payload["budget_key"]) == (
        1_000,
        1_000,
        "prepaid:acme",
    )
    await sound(treasury_service)


async def test_whatever_is_sent_twice_credits_once(treasury_service: Treasury) -> None:
    first = event()
    answers = await asyncio.gather(*(send(treasury_service, first) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["top_up_id"] for answer in answers}) == 1
    assert sorted(answer.json()["credited"] for answer in answers) == [False] * 7 + [True]
    again = first | {"id": "evt_other"}
    assert (await send(treasury_service, again)).json()["credited"] is False
    edited = event(2_000, id=first["data"]["object"]["id"])
    answer = await send(treasury_service, edited)
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")
    assert (await budget(treasury_service))["remaining_cents"] == 1_000
    await sound(treasury_service)


async def test_forgery_replay_and_edits_are_refused(treasury_service: Treasury) -> None:
    async def code(answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["code"]

    post, body = treasury_service.http.post, orjson.dumps(event())
    assert await code(await send(treasury_service, body, secret="whsec_of_a_stranger")) == (
        400,
        "signature_invalid",
    )
    for at in (time.time() - 301, time.time() + 360, 0):
        assert await code(await send(treasury_service, body, at=at)) == (400, "signature_stale")
    seconds = int(time.time())
    signature = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={seconds},v1={signature}"}
    edited = body.replace(b"1000", b"9000")
    assert await code(await post("/v1/webhooks/stripe", content=edited, headers=headers)) == (
        400,
        "signature_invalid",
    )
    later = {"Stripe-Signature": f"t={seconds + 1},v1={signature}"}
    assert await code(await post("/v1/webhooks/stripe", content=body, headers=later)) == (
        400,
        "signature_invalid",
    )
    assert await code(await post("/v1/webhooks/stripe", content=body)) == (400, "signature_invalid")
    assert await code(await send(treasury_service, body, provider="nobody")) == (404, "not_found")
    assert await code(await send(treasury_service, b'{"a": 1, "a": 2}')) == (400, "malformed")
    assert await code(await send(treasury_service, b"x" * 300_000)) == (413, "body_too_large")
    assert await code(await send(treasury_service, event(metadata={}))) == (422, "invalid")
    assert await treasury_service.sql("SELECT count(*) FROM treasury.top_ups") == [(0,)]


async def test_other_events_are_received_and_credit_nothing(treasury_service: Treasury) -> None:
    answer = await send(treasury_service, event() | {"type": "charge.succeeded"})
    assert (answer.status_code, answer.json()) == (
        200,
        {"received": True, "credited": False, "top_up_id": None},
    )


async def test_a_secret_is_changed_while_the_treasury_runs(
    treasury_service: Treasury, treasury_settings: dict[str, Any]
) -> None:
    file: Path = treasury_settings["webhooks_file"]
    entry = {"stripe": {"secrets": ["whsec_of_tomorrow_00000"], "tenants": ["acme"]}}
    await asyncio.to_thread(file.write_text, json.dumps(entry))
    assert (await send(treasury_service, event())).status_code == 400
    assert (await send(treasury_service, event(), secret="whsec_of_tomorrow_00000")).status_code == 200
    await asyncio.to_thread(file.write_text, "{")
    assert (await send(treasury_service, event(), secret="whsec_of_tomorrow_00000")).status_code == 200


@pytest.mark.parametrize(
    "text", ["", "[]", '{"stripe": {"secrets": ["short"], "tenants": ["acme"]}}', '{"S": {}}']
)
def test_a_file_of_no_use_stops_the_start(tmp_path: Path, text: str) -> None:
    file = tmp_path / "webhooks.json"
    file.write_text(text)
    with pytest.raises(ProvidersUnusable) as refused:
        Providers(file)
    assert "short" not in str(refused.value)


@pytest.mark.requirement("TRE-15")
async def test_a_low_balance_is_told_once_for_each_time_it_falls(treasury_service: Treasury) -> None:
    await send(treasury_service, event(1_000))
    for amount_cents in (890, 20, 20, 20):
        assert await spend(treasury_service, amount_cents) == "approved"
    (low,) = await told(treasury_service, "treasury.balance_low")
    assert (low["balance_cents"], low["low_cents"], low["budget_key"]) == (90, 100, "prepaid:acme")
    await send(treasury_service, event(950))
    assert await spend(treasury_service, 950) == "approved"
    (_, again) = await told(treasury_service, "treasury.balance_low", count=2)
    assert (again["balance_cents"], again["low_cents"]) == (50, 100)
    await sound(treasury_service)


@pytest.mark.requirement("TRE-15")
async def test_what_is_depleted_holds_nothing_more_and_is_told(treasury_service: Treasury) -> None:
    await send(treasury_service, event(1_000))
    assert await spend(treasury_service, 1_000) == "approved"
    assert await spend(treasury_service, 1) == "denied"
    (depleted,) = await told(treasury_service, "treasury.depleted")
    assert (depleted["balance_cents"], depleted["workflows"]) == (0, [])
    assert len(await told(treasury_service, "treasury.balance_low")) == 1
    await send(treasury_service, event(10))
    assert await spend(treasury_service, 10) == "approved"
    assert len(await told(treasury_service, "treasury.depleted", count=2)) == 2
    await sound(treasury_service)


@pytest.mark.requirement("TRE-15")
async def test_alerts_wait_while_there_is_no_database() -> None:
    database = await Database.open("postgresql://nobody:x@127.0.0.1:1/x", application="test")
    with capture_logs() as logs:
        telling = asyncio.create_task(tell_forever(database, Rounds(1, 1, 1)))
        await eventually(lambda: len(logs) >= 2)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    assert {entry["event"] for entry in logs} == {"alerts_wait"}
    await database.close()


@pytest.mark.requirement("TRE-08")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE treasury.budgets SET topped_up_cents = topped_up_cents + 1",
        "DELETE FROM treasury.top_ups",
        "UPDATE treasury.top_ups SET amount_cents = 1",
        "UPDATE treasury.budgets SET level = 'ample'",
        FROM_NOWHERE,
    ],
)
async def test_the_database_refuses_money_from_nowhere(treasury_service: Treasury, statement: str) -> None:
    await send(treasury_service, event())
    connection = await asyncpg.connect(treasury_service.database.treasury)
    with pytest.raises(asyncpg.PostgresError, match=r"append only|permission denied|topped up|violates"):
        await connection.execute(statement)
    await connection.close()
