"""An agent's key reads no other agent's money, over a whole road on which another one has spent."""

from typing import Any

import pytest

from schemas.ids import new_id
from tests.fixtures.tollroad import Tollroad

pytestmark = [pytest.mark.requirement("SEC-03"), pytest.mark.requirement("TRE-20")]

RIVAL = "rival-key"
LISTS = ("holds", "budgets", "accounts/tool/statement", "accounts/vendor-1/statement", "trial-balance")


async def spend(road: Tollroad, workflow: str) -> dict[str, Any]:
    """Rival pays for a call and executes a spend; the authorization of the spend."""
    assert (await road.call("/ok", key=RIVAL)).status_code == 200
    order = {
        "workflow_id": workflow,
        "amount_cents": 50,
        "currency": "USD",
        "purpose": "api_call",
        "payee": "vendor-1",
        "policy_version": "1.0",
    }
    authorized = (await road.spend("authorize", order, key=RIVAL)).json()
    executed = await road.spend(
        "execute", {"intent_id": authorized["intent_id"], "recipient_account": "vendor-1"}, key=RIVAL
    )
    assert executed.status_code == 200, executed.text
    return dict(authorized)


async def test_an_agents_key_reads_no_other_agents_money(road: Tollroad) -> None:
    workflow = new_id()
    authorized = await spend(road, workflow)
    ones = (
        f"intents/{authorized['intent_id']}",
        f"authorizations/{authorized['authorization_id']}",
        f"workflows/{workflow}/balance",
    )
    for path in (*LISTS, f"workflows/{workflow}/entries"):
        assert (path, (await road.read(path, key="scout-key"))["items"]) == (path, [])
        own, all_of_it = [await road.read(path, key=key) for key in (RIVAL, "olga-key")]
        assert own["items"]
        assert own == all_of_it
    for path in ones:
        refused = await road.ask("GET", f"/api/treasury/{path}", key="scout-key")
        assert (path, refused.status_code, refused.json()["code"]) == (path, 404, "not_found")
        assert await road.read(path, key=RIVAL) == await road.read(path)
    decision = f"/v1/decisions/{authorized['decision_id']}"
    assert (await road.ask("GET", decision, key="scout-key")).status_code == 404
    assert (await road.ask("GET", decision, key=RIVAL)).status_code == 200
