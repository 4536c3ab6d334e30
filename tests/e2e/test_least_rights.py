"""Each service's own credentials open what it needs, and nothing of another's."""

from typing import Any

import asyncpg
import httpx
import nats
import pytest
from nats.aio.client import Client

from schemas.ids import new_id
from tests.e2e.insider import bus_url, kept, role_dsn
from tests.fixtures.drill import Drill

pytestmark = pytest.mark.requirement("SEC-03")


@pytest.fixture
def ready(drill: Drill) -> dict[str, Any]:
    return drill.ready


DATABASE_TRIES = {
    "tollhouse_treasury": [
        "UPDATE treasury.journal_entries SET amount_cents = 1",
        "DELETE FROM treasury.journal_entries",
        "UPDATE treasury.postings SET amount_cents = 1",
        "DELETE FROM treasury.postings",
        "TRUNCATE treasury.postings CASCADE",
        "DELETE FROM treasury.outbox",
        "UPDATE treasury.outbox SET published_at = now()",
        "UPDATE treasury.warrants SET used_at = now()",
        "ALTER TABLE treasury.postings DISABLE TRIGGER ALL",
        "DROP TABLE treasury.postings",
        "CREATE TABLE treasury.mine (id int)",
        "CREATE SCHEMA mine",
        "SELECT 1 FROM control.events",
        "SELECT 1 FROM control.decisions",
        "SET ROLE tollhouse_owner",
        "CREATE ROLE mine",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT rolpassword FROM pg_authid",
    ],
    "tollhouse_relay": [
        "SELECT 1 FROM treasury.intents",
        "SELECT 1 FROM treasury.postings",
        "SELECT 1 FROM treasury.budgets",
        "INSERT INTO treasury.outbox (tenant_id) VALUES ('acme')",
        "DELETE FROM treasury.outbox",
        "UPDATE treasury.outbox SET event = '{}'",
        "SELECT 1 FROM control.events",
        "SET ROLE tollhouse_treasury",
    ],
    "tollhouse_control": [
        "SELECT 1 FROM treasury.outbox",
        "SELECT 1 FROM treasury.postings",
        "UPDATE control.events SET event = '{}'",
        "DELETE FROM control.decisions",
        "TRUNCATE control.outcomes",
        "DROP TABLE control.events",
        "SET ROLE tollhouse_treasury",
    ],
}


@pytest.mark.parametrize("role", sorted(DATABASE_TRIES))
@pytest.mark.requirement("TRE-10")
async def test_a_database_role_does_its_own_work_alone(ready: dict[str, Any], role: str) -> None:
    connection = await asyncpg.connect(role_dsn(ready, role))
    try:
        for attempt in DATABASE_TRIES[role]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(attempt)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("user", "subjects"),
    [
        ("relay", ["gateway.decided", "lockout.set", "dead_letters.recorder"]),
        ("gateway", ["treasury.executed", "policy.activated", "approval.granted"]),
        ("control", ["treasury.executed", "gateway.decided"]),
        ("operator", ["treasury.executed", "gateway.decided", "approval.granted", "dead_letters.recorder"]),
    ],
)
async def test_a_user_of_the_bus_says_nothing_in_anothers_name(
    ready: dict[str, Any], user: str, subjects: list[str]
) -> None:
    complaints: list[str] = []

    async def complain(error: Exception) -> None:
        complaints.append(str(error).lower())

    client = await nats.connect(bus_url(ready, user), allow_reconnect=False, error_cb=complain)
    try:
        for subject in [*subjects, "$JS.API.STREAM.DELETE.TOLLHOUSE_EVENTS"]:
            complaints.clear()
            await say(client, subject)
            assert any(f'publish to "{subject.lower()}"' in complaint for complaint in complaints), subject
    finally:
        await client.close()


async def say(client: Client, subject: str) -> None:
    """Publish; when this returns the server's complaint has come, if there is one."""
    await client.publish(subject, b"{}")
    await client.flush()
    await client.flush()


def test_a_gateway_speaks_for_its_own_tenants_alone(ready: dict[str, Any]) -> None:
    token = kept(ready)["tokens"]["treasury.gateway"]
    headers = {"Authorization": f"Bearer {token}", "X-Principal": "scout"}
    with httpx.Client(base_url=ready["treasury"] + "/v1", headers=headers) as client:
        for path in ("budgets", "holds", "trial-balance", f"intents/{new_id()}"):
            answer = client.get(path, headers={"X-Tenant": "rival"})
            assert (answer.status_code, answer.json()["code"]) == (403, "wrong_tenant")
        assert client.get("budgets", headers={"X-Tenant": "acme"}).status_code == 200


def test_a_gateways_token_moves_no_money_without_its_signature(ready: dict[str, Any]) -> None:
    token = kept(ready)["tokens"]["treasury.gateway"]
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Principal": "scout",
        "X-Tenant": "acme",
        "X-Request-Sha256": "0" * 64,
    }
    intent = {
        "id": new_id(),
        "workflow_id": new_id(),
        "amount_cents": 1,
        "currency": "USD",
        "purpose": "api_call",
    }
    forged = "eyJhbGciOiJub25lIn0.e30."
    bodies = {
        "spends": {"intent": intent, "warrant": forged},
        "authorizations": {"intent_id": new_id(), "warrant": forged},
        "executions": {"intent_id": new_id(), "recipient_account": "bank", "warrant": forged},
        "voids": {"intent_id": new_id(), "warrant": forged},
    }
    with httpx.Client(base_url=ready["treasury"] + "/v1", headers=headers) as client:
        for path, body in bodies.items():
            answer = client.post(path, json=body, headers={"Idempotency-Key": path})
            assert (answer.status_code, answer.json()["code"]) == (403, "no_authorization_record")
        assert client.get(f"intents/{intent['id']}").status_code == 404


def test_a_gateways_token_at_opa_asks_for_decisions_and_prices_alone(ready: dict[str, Any]) -> None:
    token = kept(ready)["tokens"]["opa.gateway"]
    with httpx.Client(base_url=ready["opa"], headers={"Authorization": f"Bearer {token}"}) as client:
        for method, path, body in (
            ("PUT", "/v1/policies/mine", "package mine"),
            ("DELETE", "/v1/policies/mine", ""),
            ("PUT", "/v1/data/gateway/roles", "{}"),
            ("PATCH", "/v1/data/system/tokens", "[]"),
            ("GET", "/v1/data", ""),
            ("GET", "/v1/data/system/tokens", ""),
            ("POST", "/v1/data/gateway/roles", "{}"),
            ("POST", "/v1/query", '{"query": "data"}'),
            ("POST", "/v1/compile", '{"query": "data"}'),
        ):
            assert client.request(method, path, content=body).status_code == 401, path
        assert client.post("/v0/data/gateway/tools/prices", json={}).status_code == 200


def test_controls_token_at_opa_asks_about_events_alone(ready: dict[str, Any]) -> None:
    token = kept(ready)["tokens"]["opa.control"]
    with httpx.Client(base_url=ready["opa"], headers={"Authorization": f"Bearer {token}"}) as client:
        for method, path in (
            ("POST", "/v0/data/gateway/decision/batch"),
            ("POST", "/v0/data/gateway/tools/prices"),
            ("GET", "/v0/data/compliance/cases/batch"),
            ("POST", "/v1/data/compliance/cases/batch"),
            ("GET", "/v1/data/system/tokens"),
            ("PUT", "/v1/policies/mine"),
        ):
            assert client.request(method, path, content="{}").status_code == 401, path
        asked = client.post("/v0/data/compliance/cases/batch", json={"observations": []})
        assert asked.json() == []


def test_nobody_gives_himself_rights_at_opa(ready: dict[str, Any]) -> None:
    token = kept(ready)["tokens"]["opa.operator"]
    with httpx.Client(base_url=ready["opa"], headers={"Authorization": f"Bearer {token}"}) as client:
        for path in ("/v1/data/system/tokens", "/v1/data/system", "/v1/data"):
            assert client.put(path, json={}).status_code == 401, path
            assert client.delete(path).status_code == 401, path
        answer = client.put("/v1/policies/mine", content="package system.authz\n\nallow := true\n")
        assert answer.status_code == 400
        assert "owned by bundle" in answer.text
