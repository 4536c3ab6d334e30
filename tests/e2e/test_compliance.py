"""A whole stack: a violation becomes a case, a halted workflow spends nothing, poison can be replayed."""

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from schemas.ids import new_id
from tests.fixtures.drill import CALL_TIMEOUT_S, Drill
from tests.fixtures.stack import wait_for

CASE_WITHIN_S = 5.0


def asked(workflow_id: str, amount_cents: int = 300) -> dict[str, Any]:
    return {
        "workflow_id": workflow_id,
        "amount_cents": amount_cents,
        "currency": "USD",
        "purpose": "api_call",
        "payee": "vendor-x",
    }


@pytest.fixture
def control(drill: Drill) -> Any:
    """Control, as the operator sees it."""
    headers = {"Authorization": f"Bearer {drill.ready['operator_key']}"}
    with httpx.Client(base_url=drill.ready["control"], headers=headers, timeout=CALL_TIMEOUT_S) as client:
        yield client


def clerk(drill: Drill) -> dict[str, str]:
    """The headers of an agent that no other test has refused anything: that would open cases too."""
    return {"Authorization": f"Bearer {drill.ready['agents']['clerk']}"}


def spend(drill: Drill, act: str, document: dict[str, Any]) -> httpx.Response:
    return drill.client.post(f"/api/treasury/{act}", json=document, headers=clerk(drill))


@pytest.mark.requirement("CMP-01")
def test_a_violation_opens_a_case_and_a_clean_flow_none(drill: Drill, control: httpx.Client) -> None:
    clean, broken, over = new_id(), new_id(), new_id()
    for workflow_id in (clean, over):
        body = asked(workflow_id) | {"policy_version": "1.0"}
        intent_id = spend(drill, "authorize", body).json()["intent_id"]
        execution = {"intent_id": intent_id, "recipient_account": "vendor:1"}
        if workflow_id == over:
            execution["amount_cents"] = 301
        answer = spend(drill, "execute", execution)
        assert answer.status_code == (200 if workflow_id == clean else 403)
    declared = spend(drill, "intents", asked(broken)).json()
    refused = spend(drill, "execute", {"intent_id": declared["id"], "recipient_account": "vendor:1"})
    assert refused.json()["code"] == "no_authorization_record"

    def cases(workflow_id: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = control.get("/v1/cases", params={"workflow_id": workflow_id}).json()[
            "items"
        ]
        return items

    wait_for(lambda: cases(broken) and cases(over), CASE_WITHIN_S, "the cases")
    assert [case["kind"] for case in cases(broken)] == ["execution_without_authorization"]
    assert [case["kind"] for case in cases(over)] == ["execution_above_ceiling"]
    assert cases(clean) == []
    path = f"/v1/cases/{cases(broken)[0]['id']}"
    [shown] = control.get(path).json()["evidence"]
    assert shown["payload"]["decision_id"] == refused.headers["x-decision-id"]
    assert control.post(f"{path}/assign", json={"operator": "olga"}).json()["status"] == "assigned"
    body = {"resolution": "confirmed", "note": "a drill"}
    assert control.post(f"{path}/resolve", json=body).json()["status"] == "resolved"
    assert control.post(f"{path}/resolve", json=body).status_code == 409


@pytest.mark.requirement("WFL-01")
def test_a_suspended_workflow_spends_nothing(drill: Drill, control: httpx.Client) -> None:
    budget = {"amount_cents": 500, "currency": "USD"}
    workflow_id = control.post("/v1/workflows", json={"budget": budget}).json()["id"]
    over = spend(drill, "authorize", asked(workflow_id, 501) | {"policy_version": "1.0"}).json()
    assert (over["approved"], over["reason"]) == (False, "budget_exceeded")
    approved = spend(drill, "authorize", asked(workflow_id) | {"policy_version": "1.0"}).json()
    assert control.post(f"/v1/workflows/{workflow_id}/suspend").json()["status"] == "suspended"
    execution = {"intent_id": approved["intent_id"], "recipient_account": "vendor:1"}
    for answer in (
        spend(drill, "execute", execution),
        spend(drill, "authorize", asked(workflow_id, 1) | {"policy_version": "1.0"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "workflow_suspended")
    seen = drill.client.get(f"/api/treasury/workflows/{workflow_id}", headers=clerk(drill)).json()
    assert (seen["status"], seen["budget"]) == ("suspended", budget)
    assert control.post(f"/v1/workflows/{workflow_id}/resume").json()["status"] == "active"
    assert spend(drill, "execute", execution).status_code == 200
    query = {"workflow_id": workflow_id, "type": "workflow.*"}

    def told() -> list[str]:
        items = control.get("/v1/events", params=query).json()["items"]
        return [item["event_type"] for item in items]

    wait_for(lambda: len(told()) == 3, CASE_WITHIN_S, "the events")
    assert told() == ["workflow.created", "workflow.suspended", "workflow.resumed"]


@pytest.mark.requirement("EVT-04")
def test_the_stream_is_listed_and_nothing_is_dead(drill: Drill) -> None:
    assert drill.client.get("/tools/shop/free").status_code == 200

    def listed(*options: str) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "tollhouse", "events", "list", "--json", *options]
        done = subprocess.run(
            [*command, "--data", drill.ready["data"]], capture_output=True, text=True, check=True, timeout=60
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    wait_for(listed, CASE_WITHIN_S, "an event")
    assert listed("--dead") == []
