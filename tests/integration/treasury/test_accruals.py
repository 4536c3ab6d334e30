"""A metered call: its cost accrues part by part under one hold, and what is left at its end is free."""

from typing import Any

import asyncpg
import httpx
import pytest

from tests.fixtures.treasury import Spend, Treasury
from treasury.edge.verify import verify

pytestmark = pytest.mark.requirement("TRE-15")


async def metered(treasury: Treasury, amount_cents: int = 1_000) -> str:
    """The hold of a paid call."""
    answer = await treasury.gateway.spend(Spend(amount_cents, payee="meter"), unsettled="unknown")
    return str(answer.json()["hold_id"])


async def accrue(
    treasury: Treasury, hold_id: str, amount_cents: int, key: str | None = None
) -> httpx.Response:
    body = {"amount_cents": amount_cents, "recipient_account": "meter"}
    return await treasury.gateway.post(f"/v1/holds/{hold_id}/accruals", body, key)


async def standing(treasury: Treasury) -> tuple[Any, ...]:
    (hold,) = (await treasury.gateway.get("/v1/holds")).json()["items"]
    (budget,) = (await treasury.gateway.get("/v1/budgets")).json()["items"]
    connection = await asyncpg.connect(treasury.database.admin)
    assert await verify(connection) == []
    await connection.close()
    return hold["status"], hold["captured_cents"], budget["held_cents"], budget["captured_cents"]


async def test_cost_accrues_and_the_rest_is_given_back(treasury_service: Treasury) -> None:
    hold_id = await metered(treasury_service)
    for amount_cents in (100, 250):
        assert (await accrue(treasury_service, hold_id, amount_cents)).status_code == 200
    assert await standing(treasury_service) == ("placed", 350, 650, 350)
    await treasury_service.gateway.post(f"/v1/holds/{hold_id}/void", {})
    assert await standing(treasury_service) == ("voided", 350, 0, 350)
    late = await accrue(treasury_service, hold_id, 1)
    assert (late.status_code, late.json()["code"]) == (409, "authorization_voided")


async def test_the_last_part_may_be_captured(treasury_service: Treasury) -> None:
    hold_id = await metered(treasury_service)
    await accrue(treasury_service, hold_id, 100)
    body = {"amount_cents": 50, "recipient_account": "meter"}
    assert (await treasury_service.gateway.post(f"/v1/holds/{hold_id}/capture", body)).status_code == 200
    assert await standing(treasury_service) == ("captured", 150, 0, 150)


async def test_all_of_it_may_accrue_and_nothing_above(treasury_service: Treasury) -> None:
    hold_id = await metered(treasury_service)
    over = await accrue(treasury_service, hold_id, 1_001)
    assert (over.status_code, over.json()["code"]) == (403, "spend_exceeds_ceiling")
    assert (await accrue(treasury_service, hold_id, 1_000)).status_code == 200
    assert await standing(treasury_service) == ("captured", 1_000, 0, 1_000)


async def test_an_accrual_that_is_asked_for_again_is_made_once(treasury_service: Treasury) -> None:
    hold_id = await metered(treasury_service)
    first = await accrue(treasury_service, hold_id, 100, "part-1")
    assert (await accrue(treasury_service, hold_id, 100, "part-1")).json() == first.json()
    assert await standing(treasury_service) == ("placed", 100, 900, 100)


async def test_an_accrual_tells_which_budgets_are_depleted(treasury_service: Treasury) -> None:
    """The money of two calls is held before their budget's limit is lowered below what both may use."""
    first, second = [await metered(treasury_service) for _ in range(2)]
    assert (await accrue(treasury_service, first, 100)).json()["depleted"] == []
    too_much = await treasury_service.gateway.spend(
        Spend(1), unsettled="unknown", budgets=[{"key": "role:executor", "window": "day", "limit_cents": 300}]
    )
    assert too_much.json()["reason"] == "budget_exceeded"
    assert (await accrue(treasury_service, second, 199)).json()["depleted"] == []
    last = await accrue(treasury_service, first, 1, "last")
    assert last.json()["depleted"] == ["role:executor"]
    assert (await accrue(treasury_service, second, 5)).json()["depleted"] == ["role:executor"]
    assert (await accrue(treasury_service, first, 1, "last")).json() == last.json()
    body = {"amount_cents": 1, "recipient_account": "meter"}
    captured = await treasury_service.gateway.post(f"/v1/holds/{first}/capture", body)
    assert "depleted" not in captured.json()


async def test_what_became_unknown_accrues_on_and_ends(treasury_service: Treasury) -> None:
    hold_id = await metered(treasury_service)
    await accrue(treasury_service, hold_id, 100)
    await treasury_service.gateway.post(f"/v1/holds/{hold_id}/unknown", {})
    await accrue(treasury_service, hold_id, 100)
    assert await standing(treasury_service) == ("unknown", 200, 800, 200)
    body = {"amount_cents": 1, "recipient_account": "meter"}
    await treasury_service.gateway.post(f"/v1/holds/{hold_id}/capture", body)
    assert await standing(treasury_service) == ("captured", 201, 0, 201)


async def test_only_a_paid_calls_own_gateway_accrues(treasury_service: Treasury) -> None:
    spend = (await treasury_service.gateway.spend(Spend())).json()
    assert (await accrue(treasury_service, spend["hold_id"], 1)).status_code == 403
    body = {"amount_cents": 1, "recipient_account": "meter"}
    path = f"/v1/holds/{spend['hold_id']}/accruals"
    assert (await treasury_service.other_gateway.post(path, body)).status_code == 404
