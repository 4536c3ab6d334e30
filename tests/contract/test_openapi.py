"""The OpenAPI documents of treasury and control tell the truth, and do not change unseen."""

import asyncio
import hashlib
import json
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import schemathesis
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from control import migrate
from control.app import create_app
from control.config import Settings
from schemas.ids import new_id
from tests.contract.openapi import hold_to_document, operations
from tests.fixtures.servers import NATS_PASSWORDS, NatsServer, PostgresServer
from tests.fixtures.treasury import OPERATOR_TOKEN, PASSWORDS, Spend, Treasury
from tests.integration.gateway.mcp_stack import served
from treasury.edge.migrate import install

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


@pytest.fixture
def documents(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Snapshots as JSON, one file each; `pytest --snapshot-update` takes a change that is meant."""
    return snapshot.use_extension(JSONSnapshotExtension)


@pytest.fixture
async def control_settings(
    postgres: PostgresServer, nats: NatsServer, database: str, tmp_path: Path
) -> Settings:
    await install(database, PASSWORDS)
    await migrate.install(database)
    olga = {"id": "olga", "role": "executive", "tenant": "acme"}
    operators = {hashlib.sha256(OPERATOR_TOKEN.encode()).hexdigest(): olga}
    (tmp_path / "control.json").write_text(json.dumps(operators))
    (tmp_path / "control.dsn").write_text(
        postgres.dsn_of(database, "tollhouse_control", PASSWORDS["tollhouse_control"])
    )
    (tmp_path / "nats").write_text(NATS_PASSWORDS["control"])
    bus = urlsplit(nats.url)
    return Settings(
        operators_file=tmp_path / "control.json",
        postgres_dsn_file=tmp_path / "control.dsn",
        nats_url=f"nats://{bus.hostname}:{bus.port}",
        nats_password_file=tmp_path / "nats",
    )


@pytest.mark.requirement("TST-03")
async def test_the_treasurys_surface_is_what_it_was(
    treasury_service: Treasury, documents: SnapshotAssertion
) -> None:
    assert operations(treasury_service.app.openapi()) == documents


@pytest.mark.requirement("TST-03")
def test_controls_surface_is_what_it_was(control_settings: Settings, documents: SnapshotAssertion) -> None:
    assert operations(create_app(control_settings).openapi()) == documents


@pytest.mark.requirement("TST-03")
async def test_the_treasury_answers_as_its_document_says(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    headers = {name: value for name, value in gateway.headers().items() if name != "Idempotency-Key"}
    assert await asyncio.to_thread(hold_to_document, treasury_service.url, headers) > 100
    assert (await gateway.http.get("/readyz")).status_code == 200


@pytest.mark.requirement("TST-03")
async def test_control_answers_as_its_document_says(
    control_settings: Settings, treasury_service: Treasury
) -> None:
    settings = control_settings.model_copy(update={"treasury_url": treasury_service.url})
    with served(create_app(settings)) as url:
        assert await asyncio.to_thread(hold_to_document, url, OPERATOR) > 100
        assert (await asyncio.to_thread(httpx.get, f"{url}/readyz")).status_code == 200


@pytest.mark.requirement("TST-03")
async def test_the_documents_models_hold_for_what_really_happens(treasury_service: Treasury) -> None:
    """The whole road of a spend, each answer held against the document."""
    gateway, spend = treasury_service.gateway, Spend()
    document = schemathesis.openapi.from_dict(treasury_service.app.openapi())
    steps = [
        ("/v1/intents", await gateway.intent(spend)),
        ("/v1/authorizations", await gateway.authorize(spend)),
        ("/v1/executions", await gateway.execute(spend)),
        ("/v1/voids", await gateway.void(spend)),
        ("/v1/spends", await gateway.spend(Spend(), verdict="pending", approval_role="executive")),
        ("/v1/spends", await gateway.spend(Spend(amount_cents=1_000_000))),
    ]
    assert [answer.status_code for _, answer in steps] == [201, 200, 200, 409, 200, 200]
    for path, answer in steps:
        document[path]["POST"].validate_response(answer)
    reads = {
        "/v1/intents/{intent_id}": f"/v1/intents/{spend.id}",
        "/v1/workflows/{workflow_id}/balance": f"/v1/workflows/{spend.workflow_id}/balance",
        "/v1/workflows/{workflow_id}/entries": f"/v1/workflows/{spend.workflow_id}/entries",
        "/v1/accounts/{account}/statement": "/v1/accounts/vendor:1/statement",
        "/v1/authorizations/{authorization_id}": f"/v1/authorizations/{new_id()}",
    }
    for path, target in reads.items():
        document[path]["GET"].validate_response(await gateway.get(target))
    for path in ("/v1/holds", "/v1/budgets", "/v1/trial-balance"):
        document[path]["GET"].validate_response(await gateway.get(path))
