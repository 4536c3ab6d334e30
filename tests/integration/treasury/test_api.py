"""The surface: credentials, strict bodies, pages, health, and what happens when PostgreSQL is gone."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from schemas.ids import new_id
from tests.fixtures.treasury import OPERATOR_TOKEN, Spend, Treasury

OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "token_missing"),
        ({"Authorization": "Bearer guess"}, 401, "token_invalid"),
        ({"Authorization": "Basic token-of-gateway"}, 401, "token_invalid"),
        ({"Authorization": "Bearer token-of-gateway"}, 401, "token_invalid"),
        (
            {"Authorization": "Bearer token-of-gateway", "X-Tenant": "initech", "X-Principal": "p"},
            403,
            "wrong_tenant",
        ),
        (OPERATOR | {"X-Tenant": "globex"}, 403, "wrong_tenant"),
    ],
)
async def test_nothing_is_shown_without_credentials(
    treasury_service: Treasury, headers: dict[str, str], status: int, code: str
) -> None:
    paths = ["/v1/holds", "/v1/budgets", "/v1/trial-balance", f"/v1/intents/{new_id()}"]
    for path in paths:
        answer = await treasury_service.http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.requirement("SEC-03")
async def test_an_operator_reads_its_tenant_and_moves_nothing(treasury_service: Treasury) -> None:
    gateway, spend = treasury_service.gateway, Spend()
    await gateway.spend(spend)
    read = await treasury_service.http.get(f"/v1/intents/{spend.id}", headers=OPERATOR)
    assert read.json()["principal"] == "scout"
    headers = OPERATOR | {"Idempotency-Key": "k", "X-Request-Sha256": "a" * 64}
    refused = await treasury_service.http.post("/v1/intents", json=Spend().document(), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")
    gateway.tenant = "globex"
    for path in (f"/v1/intents/{spend.id}", f"/v1/workflows/{spend.workflow_id}/balance"):
        assert (await gateway.get(path)).json()["code"] == "not_found"
    assert (await gateway.get("/v1/holds")).json() == {"items": [], "next_cursor": None}


@pytest.mark.requirement("SEC-03")
async def test_gateways_that_are_taken_out_are_refused_at_once(treasury_service: Treasury) -> None:
    file, gateway = treasury_service.settings.gateways_file, treasury_service.gateway
    known = json.loads(file.read_text())
    file.write_text("garbage")
    assert (await gateway.get("/v1/holds")).status_code == 200
    del known[next(iter(known))]
    file.write_text(json.dumps(known))
    assert (await gateway.get("/v1/holds")).status_code == 401


@pytest.mark.requirement("TRE-01")
@pytest.mark.requirement("TRE-14")
@pytest.mark.parametrize(
    ("change", "loc"),
    [
        *(({"amount_cents": bad}, "amount_cents") for bad in (0, -1, 1.5, "5", True, None, 2**53)),
        ({"currency": "XXX"}, "currency"),
        ({"workflow_id": "w-1"}, "workflow_id"),
        ({"purpose": "  "}, "purpose"),
        *(({name: "a\x00b"}, name) for name in ("purpose", "payee", "policy_version")),
        ({"surprise": 1}, "surprise"),
        ({"id": "i"}, "id"),
    ],
)
async def test_bad_fields_are_named(treasury_service: Treasury, change: dict[str, Any], loc: str) -> None:
    refused = await treasury_service.gateway.post("/v1/intents", Spend().document() | change)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    assert refused.json()["detail"][0]["loc"] == ["body", loc]
    assert refused.headers["x-correlation-id"] == refused.json()["correlation_id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"id": 1, "id": 2}', 400, "malformed"),
        (b'{"amount_cents": NaN}', 400, "malformed"),
        (b"\xff", 400, "malformed"),
        (b"[" * 10_000, 400, "malformed"),
        (b"{}{}", 400, "malformed"),
        (b"x" * 70_000, 413, "body_too_large"),
        (b"", 422, "invalid"),
    ],
)
async def test_bodies_are_read_in_one_way_or_not_at_all(
    treasury_service: Treasury, body: bytes, status: int, code: str
) -> None:
    gateway = treasury_service.gateway
    headers = gateway.headers() | {"Content-Type": "application/json"}
    refused = await treasury_service.http.post("/v1/intents", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_writes_name_their_key_and_digest(treasury_service: Treasury) -> None:
    headers = treasury_service.gateway.headers()
    del headers["Idempotency-Key"], headers["X-Request-Sha256"]
    refused = await treasury_service.http.post("/v1/intents", json=Spend().document(), headers=headers)
    assert {fault["loc"][-1] for fault in refused.json()["detail"]} == {"Idempotency-Key", "X-Request-Sha256"}


@pytest.mark.requirement("TRE-20")
async def test_lists_come_in_pages(treasury_service: Treasury) -> None:
    gateway, workflow = treasury_service.gateway, new_id()
    for turn in range(3):
        spend = Spend(10 + turn, workflow_id=workflow)
        await gateway.spend(spend, budgets=[{"key": f"k{turn}", "window": "month", "limit_cents": 100}])
        await gateway.execute(spend)
    for path, count in (
        ("/v1/holds", 3),
        ("/v1/budgets", 3),
        (f"/v1/workflows/{workflow}/entries", 6),
        ("/v1/accounts/vendor:1/statement", 3),
    ):
        items, cursor = [], None
        while True:
            page = (await gateway.get(path, limit=2, **({"cursor": cursor} if cursor else {}))).json()
            assert len(page["items"]) <= 2
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert items == (await gateway.get(path)).json()["items"]
        assert len(items) == count
        made_up = await gateway.get(path, cursor="bm90IGEgY3Vyc29y")
        assert (made_up.status_code, made_up.json()["detail"][0]["loc"]) == (422, ["query", "cursor"])
    balance = (await gateway.get("/v1/trial-balance")).json()
    assert (balance["debits_cents"], balance["credits_cents"], balance["balanced"]) == (33, 33, True)


@pytest.mark.requirement("TRE-01")
async def test_what_is_not_there_is_not_found(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    for path in ("intents", "authorizations"):
        assert (await gateway.get(f"/v1/{path}/{new_id()}")).json()["code"] == "not_found"
    assert (await gateway.get("/nothing")).json()["code"] == "not_found"
    assert (await gateway.get("/v1/intents")).json()["code"] == "method_not_allowed"
    spend = Spend()
    await gateway.intent(spend)
    again = await gateway.intent(spend)
    assert (again.status_code, again.json()["code"]) == (409, "duplicate")
    odd = await treasury_service.http.get("/v1/holds", headers=gateway.headers() | {"X-Correlation-Id": "{}"})
    assert odd.headers["x-correlation-id"] != "{}"


@pytest.mark.requirement("OPS-03")
async def test_health_is_open_and_shows_nothing(treasury_service: Treasury) -> None:
    http = treasury_service.http
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    assert (await http.get("/readyz")).json() == {"status": "ready"}
    await treasury_service.gateway.spend(Spend(payee="vendor-secret"))
    text = (await http.get("/metrics")).text
    assert "treasury_requests_total" in text
    assert "secret" not in text
    assert (await http.get("/openapi.json")).json()["info"]["title"] == "Tollhouse treasury"


@pytest.mark.requirement("GW-19")
async def test_without_postgresql_it_answers_503(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    await gateway.spend(Spend())
    role = "ALTER ROLE tollhouse_treasury {}"
    kick = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tollhouse_treasury'"
    await treasury_service.sql(role.format("NOLOGIN"))
    try:
        await treasury_service.sql(kick)
        refused = await gateway.spend(Spend(), key="k")
        assert (refused.status_code, refused.json()["code"]) == (503, "treasury_unavailable")
        assert refused.headers["retry-after"] == "1"
        ready = await treasury_service.http.get("/readyz")
        assert (ready.status_code, ready.json()["waiting_for"]) == (503, ["postgres"])
        measured = await treasury_service.http.get("/metrics")
        assert measured.status_code == 200
        assert "treasury_outbox_lag_seconds" not in measured.text
    finally:
        await treasury_service.sql(role.format("LOGIN"))
    async with asyncio.timeout(5):
        while (await treasury_service.http.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)
    assert (await gateway.spend(Spend())).json()["approved"]


@pytest.mark.requirement("GW-20")
async def test_a_fault_of_ours_shows_no_inside(treasury_service: Treasury) -> None:
    await treasury_service.sql("DROP TABLE treasury.hold_charges")
    async with httpx.AsyncClient(base_url=treasury_service.url) as http:
        treasury_service.gateway.http, kept = http, treasury_service.gateway.http
        broken = await treasury_service.gateway.spend(Spend())
        treasury_service.gateway.http = kept
    assert (broken.status_code, broken.json()["code"]) == (500, "internal")
    assert "hold_charges" not in broken.text


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/v1/holds", [9]),
        ("/v1/holds", {"a": 1}),
        ("/v1/holds", "a"),
        ("/v1/budgets", ["a", "day", "2026-01-01T00:00:00", "USD"]),
        ("/v1/budgets", ["a\x00", "day", "2026-01-01T00:00:00Z", "USD"]),
        ("/v1/budgets", ["a", "day", 1, "USD"]),
        ("/v1/accounts/a/statement", ["2026-01-01", "01a1fe19-d5cd-79b0-ab00-784f26628cd8"]),
    ],
)
async def test_a_made_up_cursor_is_named(treasury_service: Treasury, path: str, place: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    refused = await treasury_service.gateway.get(path, cursor=cursor)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    assert refused.json()["detail"][0]["loc"] == ["query", "cursor"]


@pytest.mark.requirement("GW-20")
async def test_what_postgresql_cannot_hold_is_invalid_and_no_outage(treasury_service: Treasury) -> None:
    gateway = treasury_service.gateway
    named = await gateway.get("/v1/accounts/a%00b/statement")
    assert (named.status_code, named.json()["detail"][0]["loc"]) == (422, ["path", "account"])
    place = ["0001-01-01T00:00:00+23:59", new_id()]
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    unnamed = await gateway.get("/v1/accounts/a/statement", cursor=cursor)
    assert (unnamed.status_code, unnamed.json()["detail"][0]["loc"]) == (422, ["request"])
