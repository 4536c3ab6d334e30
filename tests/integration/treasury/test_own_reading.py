"""An agent reads what is its own, an operator all of the tenant; what an agent reads adds up by itself."""

import csv
import io
from typing import Any

import pytest

from schemas.ids import new_id
from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury, TreasuryClient

pytestmark = [pytest.mark.requirement("SEC-03"), pytest.mark.requirement("TRE-20")]

SHARED = {"key": "role:executor", "window": "day", "limit_cents": 1_000}


@pytest.fixture
async def workflow(treasury_service: Treasury) -> str:
    """Scout spent 10, rival 20 of which 5 are still held, in one workflow and from one budget."""
    gateway, workflow = treasury_service.gateway, new_id()
    for principal, cents, captured in (("scout", 10, 10), ("rival", 20, 15)):
        gateway.principal = principal
        spend = Spend(cents, workflow_id=workflow)
        own = {"key": f"agent:{principal}", "window": "day", "limit_cents": 100}
        assert (await gateway.spend(spend, budgets=[SHARED, own])).status_code == 200
        assert (await gateway.execute(spend, captured)).status_code == 200
    return workflow


async def read(client: TreasuryClient, principal: str, path: str) -> dict[str, Any]:
    client.principal = principal
    answer = await client.get(f"/v1/{path}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def read_all(treasury: Treasury, path: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    return dict((await treasury.http.get(f"/v1/{path}", headers=headers)).json())


def amounts(listed: dict[str, Any]) -> list[int]:
    return [item["amount_cents"] for item in listed["items"]]


async def test_postings_are_those_of_its_own_spends(treasury_service: Treasury, workflow: str) -> None:
    gateway = treasury_service.gateway
    for path, times in ((f"workflows/{workflow}/entries", 2), ("accounts/vendor:1/statement", 1)):
        assert amounts(await read(gateway, "scout", path)) == [10] * times
        assert amounts(await read(gateway, "rival", path)) == [15] * times
        assert amounts(await read(gateway, "stranger", path)) == []
        assert amounts(await read_all(treasury_service, path)) == [10] * times + [15] * times


async def test_a_trial_balance_is_of_its_own_entries_and_balances(
    treasury_service: Treasury, workflow: str
) -> None:
    gateway = treasury_service.gateway
    found = [await read(gateway, who, "trial-balance") for who in ("scout", "rival", "stranger")]
    found.append(await read_all(treasury_service, "trial-balance"))
    assert [one["debits_cents"] for one in found] == [10, 15, 0, 25]
    assert [one["credits_cents"] for one in found] == [10, 15, 0, 25]
    assert all(one["balanced"] for one in found)
    assert [item["account"] for item in found[0]["items"]] == ["tollhouse:operating", "vendor:1"]
    assert found[2]["items"] == []


async def test_a_workflow_is_seen_by_those_who_take_part(treasury_service: Treasury, workflow: str) -> None:
    gateway, path = treasury_service.gateway, f"workflows/{workflow}/balance"
    found = [await read(gateway, who, path) for who in ("scout", "rival")]
    found.append(await read_all(treasury_service, path))
    assert [(one["held_cents"], one["captured_cents"]) for one in found] == [(0, 10), (5, 15), (5, 25)]
    assert [(one["debits_cents"], one["credits_cents"]) for one in found] == [(10, 10), (15, 15), (25, 25)]
    gateway.principal = "stranger"
    assert (await gateway.get(f"/v1/{path}")).json()["code"] == "not_found"


async def test_budgets_are_those_that_it_was_charged_to(treasury_service: Treasury, workflow: str) -> None:
    gateway = treasury_service.gateway

    def told(listed: dict[str, Any]) -> dict[str, int]:
        return {item["key"]: item["captured_cents"] for item in listed["items"]}

    assert told(await read(gateway, "scout", "budgets")) == {"agent:scout": 10, "role:executor": 25}
    assert told(await read(gateway, "rival", "budgets")) == {"agent:rival": 15, "role:executor": 25}
    assert told(await read(gateway, "stranger", "budgets")) == {}
    assert set(told(await read_all(treasury_service, "budgets"))) == {
        "agent:rival",
        "agent:scout",
        "role:executor",
    }


async def test_a_file_is_of_its_own_too(treasury_service: Treasury, workflow: str) -> None:
    gateway = treasury_service.gateway

    async def column(name: str, path: str) -> list[list[str]]:
        found = []
        for gateway.principal in ("scout", "rival", "stranger"):
            answer = await gateway.get(f"/v1/{path}", format="csv")
            found.append([row[name] for row in csv.DictReader(io.StringIO(answer.text))])
        headers = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
        whole = await treasury_service.http.get(f"/v1/{path}?format=csv", headers=headers)
        return [*found, [row[name] for row in csv.DictReader(io.StringIO(whole.text))]]

    assert await column("amount_cents", "accounts/vendor:1/statement") == [["10"], ["15"], [], ["10", "15"]]
    assert await column("debits_cents", f"workflows/{workflow}/balance") == [["10"], ["15"], [], ["25"]]
    assert await column("held_cents", f"workflows/{workflow}/balance") == [["0"], ["5"], [], ["5"]]
    assert await column("debits_cents", "trial-balance") == [["0", "10"], ["0", "15"], [], ["0", "25"]]


async def test_workflows_are_those_that_it_takes_part_in(treasury_service: Treasury, workflow: str) -> None:
    gateway = treasury_service.gateway

    def ids(listed: dict[str, Any]) -> list[str]:
        return [item["id"] for item in listed["items"]]

    for who, seen in (("scout", [workflow]), ("rival", [workflow]), ("stranger", [])):
        assert ids(await read(gateway, who, "workflows")) == seen
    assert ids(await read_all(treasury_service, "workflows")) == [workflow]
    assert (await read(gateway, "rival", f"workflows/{workflow}"))["id"] == workflow
    gateway.principal = "stranger"
    assert (await gateway.get(f"/v1/workflows/{workflow}")).json()["code"] == "not_found"


async def test_reconciliations_are_an_operators(treasury_service: Treasury) -> None:
    for path in ("reconciliations", f"reconciliations/{new_id()}"):
        refused = await treasury_service.gateway.get(f"/v1/{path}")
        assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")
    assert (await read_all(treasury_service, "reconciliations"))["items"] == []
