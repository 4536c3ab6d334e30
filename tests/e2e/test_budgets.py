"""Budgets of agent, workflow and tenant at once, from the policy document down to the ledger."""

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.ids import new_id
from tests.fixtures.servers import StartOpa
from tests.fixtures.tollroad import Tollroad, tollroad
from tests.fixtures.treasury import LedgerDatabase
from tollhouse.policy.compile import build_bundle

pytestmark = [pytest.mark.requirement("POL-03"), pytest.mark.requirement("TRE-11")]

AGENT_CENTS, WORKFLOW_CENTS, TENANT_CENTS = 800, 600, 1_000
SECRET = "whsec_0123456789abcdef"
POLICY = f"""
version: "1.0"
currency: USD
budgets:
  workflow: {{lifetime_cents: {WORKFLOW_CENTS}}}
  tenant: {{day_cents: {TENANT_CENTS}}}
roles:
  executor:
    tools: [{{name: tool.POST /ok, price: {{fixed_cents: 100}}}}, tool.GET /free]
    budgets: {{agent: {{hour_cents: {AGENT_CENTS}}}}}
    spend: {{purposes: [api_call]}}
  idler: {{spend: {{purposes: [api_call]}}}}
"""
PREPAID = """
version: "1.0"
currency: USD
budgets: {tenant: {lifetime_cents: 0, day_cents: 400}}
roles: {executor: {spend: {purposes: [api_call]}}}
"""
WITHIN_ONE_HOUR_S = 40


@pytest.fixture
async def road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Tollroad]:
    """Two gateways under `POLICY` or the fixture's parameter; what a test spends falls into one hour."""
    (tmp_path / "policy.yaml").write_text(getattr(request, "param", POLICY))
    build_bundle(tmp_path / "policy.yaml", tmp_path / "policy")
    webhooks = tmp_path / "webhooks.json"
    webhooks.write_bytes(orjson.dumps({"stripe": {"secrets": [SECRET], "tenants": ["acme"]}}))
    webhooks.chmod(0o600)
    opa, more = start_opa([tmp_path / "policy"]), {"WEBHOOKS_FILE": str(webhooks)}
    async with tollroad(ledger_database, opa, tmp_path, gateways=2, **more) as road:
        while time.time() % 3600 > 3600 - WITHIN_ONE_HOUR_S:
            await asyncio.sleep(1)
        yield road


async def spend(road: Tollroad, amount_cents: int, workflow_id: str, **more: Any) -> dict[str, Any]:
    body = {"amount_cents": amount_cents, "purpose": "api_call", "workflow_id": workflow_id}
    answer = await road.spend("authorize", body, **more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def refused(road: Tollroad, amount_cents: int, workflow_id: str, **more: Any) -> str:
    """Why the spend has no room, in words."""
    told = await spend(road, amount_cents, workflow_id, **more)
    assert (told["status"], told["reason"]) == ("denied", "budget_exceeded")
    return str(told["reasons"][0]["message"])


async def test_an_agents_hour_is_its_own(road: Tollroad) -> None:
    workflow, other = new_id(), new_id()
    assert (await spend(road, 500, workflow))["approved"]
    assert (await spend(road, 300, other))["approved"]
    lacks = "the budget agent:scout has no room for {} USD in this hour"
    assert await refused(road, 1, new_id()) == lacks.format("0.01")
    answer = await road.call("/ok")
    assert (answer.status_code, answer.json()["code"]) == (403, "budget_exceeded")
    assert answer.json()["reasons"][0]["message"] == lacks.format("1.00")
    assert (await road.call("/free")).status_code == 200
    assert (await road.call("/ok", key="rival-key")).status_code == 200
    assert (await spend(road, 100, workflow, key="rival-key"))["approved"]


async def test_a_workflows_life_is_shared_by_all_who_spend_in_it(road: Tollroad) -> None:
    workflow = new_id()
    named = {"x-workflow-id": workflow}
    assert (await spend(road, 300, workflow))["approved"]
    assert (await spend(road, 200, workflow, key="idle-key"))["approved"]
    assert (await road.call("/ok", key="rival-key", headers=named)).status_code == 200
    lacks = f"the budget workflow:{workflow} has no room for 1.00 USD in this lifetime"
    assert await refused(road, 100, workflow, gateway=1) == lacks
    answer = await road.call("/ok", headers=named)
    assert (answer.status_code, answer.json()["reasons"][0]["message"]) == (403, lacks)
    assert (await spend(road, 100, new_id()))["approved"]


@pytest.mark.requirement("WFL-01")
async def test_a_workflow_that_was_created_with_less_has_less(road: Tollroad) -> None:
    olga = {"authorization": "Bearer olga-key"}
    for key, created_cents, room_cents in (("scout-key", 200, 200), ("rival-key", 900, WORKFLOW_CENTS)):
        body = {"budget": {"amount_cents": created_cents, "currency": "USD"}}
        made = await road.client.post(road.treasury.url + "/v1/workflows", json=body, headers=olga)
        assert made.status_code == 201, made.text
        workflow = made.json()["id"]
        assert f"workflow:{workflow}" in await refused(road, room_cents + 1, workflow, key=key)
        assert (await spend(road, room_cents, workflow, key=key))["approved"]


async def test_the_tenants_day_is_shared_by_all_roles(road: Tollroad) -> None:
    first = await spend(road, 600, new_id())
    assert first["approved"]
    assert (await spend(road, 400, new_id(), key="rival-key"))["approved"]
    lacks = "the budget tenant:acme has no room for 1.00 USD in this day"
    assert await refused(road, 100, new_id(), key="idle-key") == lacks
    answer = await road.call("/ok", gateway=1)
    assert (answer.status_code, answer.json()["reasons"][0]["message"]) == (403, lacks)
    assert (await road.spend("void", {"intent_id": first["intent_id"]})).status_code == 200
    assert (await spend(road, 600, new_id(), key="idle-key"))["approved"]


async def top_up(road: Tollroad, budget: str, amount_cents: int) -> None:
    """A payment as its provider tells of it."""
    metadata = {"tollhouse_budget": budget}
    payment = {"id": "pi_1", "amount_received": amount_cents, "currency": "usd", "metadata": metadata}
    told = {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": payment}}
    body, at = orjson.dumps(told), int(time.time())
    signature = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}
    url = f"{road.treasury.url}/v1/webhooks/stripe"
    answer = await road.client.post(url, content=body, headers=headers)
    assert (answer.status_code, answer.json()["credited"]) == (200, True)


@pytest.mark.requirement("TRE-15")
@pytest.mark.requirement("TRE-16")
@pytest.mark.parametrize("road", [PREPAID], indirect=True)
async def test_a_prepaid_budget_of_the_document_has_the_room_that_was_paid_for(road: Tollroad) -> None:
    lacks = "the budget tenant:acme has no room for {} USD in this {}"
    assert await refused(road, 100, new_id()) == lacks.format("1.00", "lifetime")
    await top_up(road, "tenant:acme", 300)
    assert (await spend(road, 300, new_id()))["approved"]
    assert await refused(road, 100, new_id(), key="rival-key") == lacks.format("1.00", "lifetime")
    assert await refused(road, 101, new_id()) == lacks.format("1.01", "day")


async def test_parallel_requests_overspend_none_of_them(road: Tollroad) -> None:
    workflows = [new_id() for _ in range(3)]

    async def one(number: int) -> str:
        key, workflow = ("scout-key", "rival-key")[number % 2], workflows[number % 3]
        if number % 4 < 2:
            told = await spend(road, 100, workflow, key=key, gateway=number % 2)
            return "paid" if told["approved"] else str(told["reason"])
        headers = {"x-workflow-id": workflow}
        answer = await road.call("/ok", key=key, gateway=number % 2, headers=headers)
        return "paid" if answer.status_code == 200 else str(answer.json()["code"])

    outcomes = Counter(await asyncio.gather(*(one(number) for number in range(36))))
    assert outcomes == {"paid": TENANT_CENTS // 100, "budget_exceeded": 36 - TENANT_CENTS // 100}
    used: Counter[str] = Counter()
    for budget in (await road.read("budgets"))["items"]:
        spent_cents = budget["held_cents"] + budget["captured_cents"]
        assert spent_cents <= budget["limit_cents"], budget
        used[budget["key"].partition(":")[0]] += spent_cents
    assert used == {"agent": TENANT_CENTS, "workflow": TENANT_CENTS, "tenant": TENANT_CENTS}
