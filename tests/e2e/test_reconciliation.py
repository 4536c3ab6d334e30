"""An operator reconciles through the gateway; an agent may not."""

from typing import Any

import pytest

from schemas.ids import new_id
from tests.fixtures.tollroad import Tollroad

pytestmark = pytest.mark.requirement("TRE-07")


def statement(*references: str) -> dict[str, Any]:
    lines = [{"reference": name, "amount_cents": 300, "currency": "USD"} for name in references]
    return {"provider": "vendor-x", "lines": lines}


async def test_an_operator_reconciles_through_the_gateway(road: Tollroad) -> None:
    asked = {"amount_cents": 300, "purpose": "api_call", "workflow_id": new_id(), "policy_version": "1.0"}
    authorization = (await road.spend("authorize", asked | {"payee": "vendor-x"})).json()
    done = (
        await road.spend(
            "execute", {"intent_id": authorization["intent_id"], "recipient_account": "vendor-x"}
        )
    ).json()
    found = await road.spend("reconciliations", statement(done["id"], "ch_1"), key="olga-key")
    assert found.status_code == 201, found.text
    answer = found.json()
    assert (answer["matched"], answer["operator"]) == (1, "olga")
    (broken,) = answer["breaks"]
    assert (broken["kind"], broken["reference"]) == ("missing_in_ledger", "ch_1")
    path = f"reconciliations/{answer['id']}/breaks/{broken['id']}/resolve"
    resolved = await road.spend(path, {"action": "post", "note": "agreed by telephone"}, key="olga-key")
    assert (resolved.status_code, resolved.json()["status"]) == (200, "resolved")
    assert (await road.read(f"reconciliations/{answer['id']}"))["breaks"][0]["status"] == "resolved"
    assert len((await road.read("reconciliations"))["items"]) == 1


async def test_an_agent_reconciles_nothing(road: Tollroad) -> None:
    for refused in (
        await road.spend("reconciliations", statement("ch_1")),
        await road.ask("GET", "/api/treasury/reconciliations", key="scout-key"),
        await road.ask("GET", f"/api/treasury/reconciliations/{new_id()}", key="scout-key"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "tool_not_allowed")
    assert (await road.spend("reconciliations", statement("ch_1"), key="nobody")).status_code == 401
    bad = await road.spend("reconciliations", statement("ch_1") | {"x": 1}, key="olga-key")
    assert (bad.status_code, bad.json()["detail"][0]["loc"]) == (422, ["body", "x"])
    assert (await road.ask("DELETE", "/api/treasury/reconciliations", key="olga-key")).status_code == 405
    assert (await road.read("reconciliations"))["items"] == []


@pytest.mark.requirement("TRE-20")
async def test_statements_come_as_csv_through_the_gateway(road: Tollroad) -> None:
    asked = {"amount_cents": 300, "purpose": "api_call", "workflow_id": new_id(), "policy_version": "1.0"}
    authorization = (await road.spend("authorize", asked | {"payee": "vendor-x"})).json()
    execution = {"intent_id": authorization["intent_id"], "recipient_account": "vendor-x"}
    await road.spend("execute", execution)
    for path in ("accounts/vendor-x/statement", f"workflows/{asked['workflow_id']}/balance", "trial-balance"):
        answer = await road.ask("GET", f"/api/treasury/{path}?format=csv", key="scout-key")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "300" in answer.text
        csv = {"accept": "text/csv"}
        same = await road.ask("GET", f"/api/treasury/{path}", key="olga-key", headers=csv)
        assert same.text == answer.text
        plain = await road.ask("GET", f"/api/treasury/{path}?format=json", key="olga-key", headers=csv)
        assert plain.headers["content-type"] == "application/json"
    missing = await road.ask("GET", "/api/treasury/workflows/x/balance?format=csv", key="olga-key")
    assert (missing.status_code, missing.json()["code"]) == (422, "invalid")
