"""The same key and request get the same answer, refusals included, and nothing moves twice."""

import asyncio

import asyncpg
import pytest

from tests.fixtures.servers import eventually
from tests.fixtures.treasury import Spend, Treasury

pytestmark = pytest.mark.requirement("TRE-13")


async def test_asking_again_gets_the_same_answer(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    for ask in (gateway.intent, gateway.authorize, gateway.execute):
        first, again = [await ask(spend, key=f"key-{ask.__name__}") for _ in range(2)]
        assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(await treasury_service.sql("SELECT 1 FROM treasury.executions")) == 1


async def test_refusals_are_kept(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.spend(spend, verdict="pending", approval_role="executive")
    refused = await gateway.execute(spend, key="k")
    await treasury_service.sql("UPDATE treasury.authorizations SET status = 'approved'")
    await treasury_service.sql("UPDATE treasury.intents SET status = 'authorized'")
    again = await gateway.execute(spend, key="k")
    assert (again.status_code, again.json()["code"]) == (409, "authorization_not_approved")
    assert again.json()["detail"] == refused.json()["detail"]
    assert (await gateway.execute(spend, key="other")).status_code == 200


async def test_a_key_is_good_for_one_request_of_one_agent(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    await gateway.intent(Spend(), key="k")
    mismatch = await gateway.intent(Spend(), key="k")
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")
    spend = Spend()
    await gateway.intent(spend, key="mine")
    gateway.principal = "other"
    assert (await gateway.intent(spend, key="mine")).json()["code"] == "idempotency_mismatch"
    gateway.tenant = "globex"
    assert (await gateway.intent(spend, key="mine")).status_code == 201


async def test_a_key_in_flight_is_refused(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.intent(spend)
    blocker = await asyncpg.connect(treasury_service.database.admin)
    async with blocker.transaction():
        await blocker.execute("SELECT 1 FROM treasury.workflows FOR UPDATE")
        first = asyncio.create_task(gateway.authorize(spend, key="k"))

        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not await blocker.fetchval(waiting):
            await asyncio.sleep(0.01)
        second = await gateway.authorize(spend, key="k")
        assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_flight")
        assert not first.done()
    await blocker.close()
    await eventually(first.done)
    assert first.result().json()["approved"]
    assert (await gateway.authorize(spend, key="k")).json() == first.result().json()
