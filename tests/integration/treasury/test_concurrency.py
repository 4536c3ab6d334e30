"""Two gateways and a hundred requests at once never overspend, and end as some serial order would."""

import asyncio

import asyncpg
import pytest

from tests.fixtures.treasury import Spend, Treasury
from treasury.edge.verify import verify

pytestmark = pytest.mark.requirement("TRE-11")


async def test_a_budget_is_never_overspent(treasury_service: Treasury) -> None:
    gateways = treasury_service.gateway, treasury_service.other_gateway
    spends = [Spend(3_000) for _ in range(100)]
    answers = await asyncio.gather(*(gateways[i % 2].spend(spend) for i, spend in enumerate(spends)))
    statuses = [answer.json()["status"] for answer in answers]
    assert statuses.count("approved") == 33
    assert statuses.count("denied") == 67
    (budget,) = (await gateways[0].get("/v1/budgets")).json()["items"]
    assert budget["held_cents"] == 99_000


async def test_many_budgets_in_any_order_never_block_each_other(treasury_service: Treasury) -> None:
    keys = ["role:a", "role:b", "agent:c", "tenant:d"]
    spends = [Spend(10) for _ in range(40)]

    def budgets(turn: int) -> list[dict[str, object]]:
        ordered = keys[turn % 4 :] + keys[: turn % 4]
        return [{"key": key, "window": "day", "limit_cents": 300} for key in ordered]

    answers = await asyncio.gather(
        *(treasury_service.gateway.spend(spend, budgets=budgets(i)) for i, spend in enumerate(spends))
    )
    assert [answer.status_code for answer in answers] == [200] * 40
    assert sum(answer.json()["approved"] for answer in answers) == 30


async def test_one_authorization_is_captured_once(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend(100)
    await gateway.spend(spend)
    answers = await asyncio.gather(*(gateway.execute(spend, 40) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, 200] + [403] * 8
    connection = await asyncpg.connect(treasury_service.database.treasury)
    assert await verify(connection) == []
    await connection.close()


async def test_everything_at_once_leaves_a_sound_ledger(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway

    async def live(spend: Spend, turn: int) -> None:
        await gateway.spend(spend)
        await (gateway.void(spend) if turn % 3 == 0 else gateway.execute(spend, turn + 1))
        if turn % 5 == 0:
            await treasury_service.age_holds()

    workflow = Spend().workflow_id
    await asyncio.gather(*(live(Spend(500, workflow_id=workflow), turn) for turn in range(30)))
    connection = await asyncpg.connect(treasury_service.database.treasury)
    assert await verify(connection) == []
    await connection.close()
