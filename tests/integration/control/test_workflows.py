"""Control passes workflows on to the treasury with the operator's own key, and adds no rights."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from control.app import create_app
from control.config import Settings
from schemas.ids import new_id
from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury
from tests.integration.control.conftest import running

pytestmark = pytest.mark.requirement("WFL-01")

OLGA = {"authorization": f"Bearer {OPERATOR_TOKEN}"}


@pytest.fixture
async def client(
    settings: Settings, treasury_service: Treasury, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Control beside a treasury that knows the same operators."""
    known = treasury_service.settings.operators_file
    assert known is not None
    own = settings.model_copy(update={"treasury_url": treasury_service.url, "operators_file": known})
    async with running(create_app(own)) as client:
        client.headers.update(OLGA)
        yield client


async def test_a_workflow_is_created_halted_and_ended(
    client: httpx.AsyncClient, treasury_service: Treasury
) -> None:
    answer = await client.post("/v1/workflows", json={"budget": {"amount_cents": 700, "currency": "USD"}})
    made = answer.json()
    assert (answer.status_code, made["status"], made["created_by"]) == (201, "active", "olga")
    path = f"/v1/workflows/{made['id']}"
    spend = Spend(500, workflow_id=made["id"])
    await treasury_service.gateway.spend(spend)
    assert (await client.post(f"{path}/suspend")).json()["status"] == "suspended"
    refused = await treasury_service.gateway.execute(spend)
    assert (refused.status_code, refused.json()["code"]) == (403, "workflow_suspended")
    assert (await client.post(f"{path}/resume")).json()["status"] == "active"
    assert (await treasury_service.gateway.execute(spend)).status_code == 200
    assert (await client.post(f"{path}/finish")).json()["status"] == "finished"
    assert (await client.get(path)).json()["status"] == "finished"
    again = await client.post(f"{path}/resume")
    assert (again.status_code, again.json()["code"]) == (409, "workflow_finished")


async def test_an_idempotency_key_goes_along(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": new_id()}
    first, second = [await client.post("/v1/workflows", json={}, headers=headers) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    other = {"budget": {"amount_cents": 1, "currency": "USD"}}
    mismatch = await client.post("/v1/workflows", json=other, headers=headers)
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")


async def test_they_are_listed(client: httpx.AsyncClient) -> None:
    made = sorted([(await client.post("/v1/workflows", json={})).json()["id"] for _ in range(3)])
    first = (await client.get("/v1/workflows", params={"limit": "2"})).json()
    query = {"limit": "2", "cursor": first["next_cursor"]}
    second = (await client.get("/v1/workflows", params=query)).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made
    assert second["next_cursor"] is None
    halted = await client.get("/v1/workflows", params={"status": "suspended"})
    assert halted.json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"budget": {"amount_cents": 0, "currency": "USD"}}, 422),
        ({"budget": {"amount_cents": 1.5, "currency": "USD"}}, 422),
        ({"budget": {"amount_cents": 1, "currency": "XXQ"}}, 422),
        ({"budget": {"amount_cents": 1}}, 422),
        ({"id": "one"}, 422),
        ({"status": "finished"}, 422),
    ],
)
async def test_bad_workflows_are_refused(client: httpx.AsyncClient, body: Any, status: int) -> None:
    assert (await client.post("/v1/workflows", json=body)).status_code == status


async def test_who_is_no_operator_moves_nothing(
    client: httpx.AsyncClient, treasury_service: Treasury
) -> None:
    for headers in ({"authorization": "Bearer agent"}, {"authorization": f"Bearer {new_id()}"}):
        answer = await client.post("/v1/workflows", json={}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    del client.headers["authorization"]
    answer = await client.get("/v1/workflows", headers={"x-api-key": OPERATOR_TOKEN})
    assert answer.status_code == 200


async def test_without_a_treasury_it_says_so(settings: Settings, tmp_path: Path) -> None:
    for url in (None, "http://127.0.0.1:9"):
        async with running(create_app(settings.model_copy(update={"treasury_url": url}))) as client:
            answer = await client.get(f"/v1/workflows/{new_id()}")
            assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
