"""The operators' routes: who may ask, what may be asked, and what is answered when something is gone."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from adapters.postgres import Database
from control.app import create_app
from control.config import Settings
from control.pages import write_cursor
from control.store import Store
from schemas.ids import new_id
from tests.fixtures.events import completed, decided, of_record
from tests.integration.control.conftest import running


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    database = await Database.open(settings.postgres_dsn_file.read_text().strip(), application="test")
    yield Store(database)
    await database.close()


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"authorization": ""}, "token_invalid"),
        ({"authorization": "Bearer "}, "token_missing"),
        ({"authorization": "Bearer an-agents-key"}, "token_invalid"),
        ({"authorization": "Basic olga-key"}, "token_invalid"),
        ({"authorization": "Bearer " + "x" * 600}, "token_invalid"),
    ],
)
async def test_only_operators_are_answered(
    client: httpx.AsyncClient, headers: dict[str, str], code: str
) -> None:
    for path in ("/v1/decisions", f"/v1/decisions/{new_id()}", "/v1/events"):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_nobody_is_not_answered_and_a_key_may_come_as_x_api_key(client: httpx.AsyncClient) -> None:
    del client.headers["authorization"]
    assert (await client.get("/v1/decisions")).json()["code"] == "token_missing"
    answer = await client.get("/v1/decisions", headers={"x-api-key": "olga-key"})
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})


CHOICES: list[tuple[dict[str, str], list[int]]] = [
    ({}, [3, 2, 1, 0]),
    ({"agent": "scout"}, [3, 1, 0]),
    ({"role": "executive"}, [2]),
    ({"tool": "bank.send_money"}, [1]),
    ({"allow": "true"}, [3, 2, 0]),
    ({"allow": "false"}, [1]),
    ({"code": "tool_not_allowed"}, [1]),
    ({"code": "upstream_timeout"}, [0]),
    ({"workflow_id": "w-3"}, [3]),
    ({"since": "2026-03-01T12:00:02Z"}, [3, 2]),
    ({"until": "2026-03-01T12:00:02Z"}, [1, 0]),
    ({"since": "2026-03-01T13:00:01+01:00", "until": "2026-03-01T12:00:02Z"}, [1]),
    ({"agent": "nobody"}, []),
]


@pytest.mark.requirement("AUD-02")
async def test_decisions_are_chosen(client: httpx.AsyncClient, store: Store) -> None:
    records = await four_decisions(store)
    places = {record["decision_id"]: place for place, record in enumerate(records)}
    for query, expected in CHOICES:
        items = (await client.get("/v1/decisions", params=query)).json()["items"]
        assert [places[item["id"]] for item in items] == expected, query


async def test_decisions_are_paged_newest_first(client: httpx.AsyncClient, store: Store) -> None:
    records = await four_decisions(store)
    seen, query = [], {"limit": "3"}
    while True:
        page = (await client.get("/v1/decisions", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [record["decision_id"] for record in reversed(records)]


@pytest.mark.requirement("AUD-02")
async def test_another_tenant_sees_nothing(client: httpx.AsyncClient, store: Store) -> None:
    records = await four_decisions(store)
    other = {"authorization": "Bearer otto-key"}
    assert (await client.get("/v1/decisions", headers=other)).json()["items"] == []
    answer = await client.get(f"/v1/decisions/{records[0]['decision_id']}", headers=other)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


BAD_QUESTIONS = [
    ("/v1/decisions?limit=0", ["query", "limit"]),
    ("/v1/decisions?limit=many", ["query", "limit"]),
    ("/v1/decisions?since=yesterday", ["query", "since"]),
    ("/v1/decisions?since=2026-01-01T00:00:00", ["query", "since"]),
    ("/v1/decisions?agent=", ["query", "agent"]),
    ("/v1/decisions?agent=%00", ["query", "agent"]),
    ("/v1/decisions?colour=red", ["query", "colour"]),
    ("/v1/decisions?cursor=x", ["query", "cursor"]),
    ("/v1/decisions?cursor=WzEsMl0", ["query", "cursor"]),
    ("/v1/decisions?cursor=WyJ4IiwieSJd", ["query", "cursor"]),
    ("/v1/events?type=treasury", ["query", "type"]),
    ("/v1/events?type=%25.%25", ["query", "type"]),
    ("/v1/events?cursor=WyJ4Il0", ["query", "cursor"]),
    ("/v1/events?limit=-9223372036854775809", ["query", "limit"]),
    *(
        (f"{path}?cursor={write_cursor(place)}", ["query", "cursor"])
        for path, place in (
            ("/v1/events", [2**63]),
            ("/v1/events", [2**64 - 1]),
            ("/v1/decisions", ["2026-01-01T00:00:00", "x"]),
            ("/v1/decisions", ["2026-01-01T00:00:00Z", "a\x00"]),
        )
    ),
    ("/v1/decisions?since=0001-01-01T00:00:00%2B23:59", ["request"]),
]


async def test_a_bad_question_is_told_where(client: httpx.AsyncClient) -> None:
    for path, loc in BAD_QUESTIONS:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), path
        assert [fault["loc"] for fault in answer.json()["detail"]] == [loc]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/decisions", 405, "method_not_allowed"),
        ("GET", f"/v1/decisions/{quote(chr(0))}", 404, "not_found"),
    ],
)
async def test_errors_have_one_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path, headers={"x-correlation-id": "mine-1"})
    assert answer.status_code == status
    assert answer.json() == {"code": code, "detail": answer.json()["detail"], "correlation_id": "mine-1"}
    assert answer.headers["x-correlation-id"] == "mine-1"


async def test_a_bad_correlation_id_is_replaced(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"x-correlation-id": "a b"})
    assert len(answer.headers["x-correlation-id"]) == 36


@pytest.mark.requirement("OPS-03")
async def test_health_and_metrics_are_open_and_tell_no_secret(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    del client.headers["authorization"]
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    metrics = await client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "tollhouse_control_dead_letters_total" in metrics.text
    assert "acme" not in metrics.text
    assert settings.nats_password_file.read_text() not in metrics.text


@pytest.mark.requirement("GW-20")
async def test_without_postgresql_control_is_unavailable(settings: Settings) -> None:
    settings.postgres_dsn_file.write_text("postgresql://tollhouse_control:secret@127.0.0.1:9/none")
    async with running(create_app(settings)) as client:
        for path in ("/v1/decisions", "/v1/events", f"/v1/decisions/{new_id()}"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "control_unavailable")
            assert answer.headers["retry-after"] == "2"
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert "postgres" in ready.json()["waiting_for"]
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.requirement("OPS-03")
async def test_without_the_bus_control_still_answers(settings: Settings, store: Store) -> None:
    gone = settings.model_copy(update={"nats_url": "nats://127.0.0.1:9", "nats_connect_timeout_s": 0.2})
    records = await four_decisions(store)
    async with running(create_app(gone)) as client:
        assert (await client.get("/readyz")).json() == {"status": "not_ready", "waiting_for": ["events"]}
        answer = await client.get(f"/v1/decisions/{records[0]['decision_id']}")
        assert answer.status_code == 200


@pytest.mark.requirement("AUD-01")
async def test_the_record_cannot_be_changed_even_by_control(settings: Settings, store: Store) -> None:
    await four_decisions(store)
    connection = await asyncpg.connect(settings.postgres_dsn_file.read_text().strip())
    try:
        for table in ("decisions", "outcomes", "events"):
            for statement in (f"DELETE FROM control.{table}", f"UPDATE control.{table} SET tenant = 'x'"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "operators", ["", "{", "[]", '{"a": {"id": "olga"}}', '{"a": {"id": "", "role": "x", "tenant": "y"}}']
)
async def test_a_bad_operators_file_stops_the_start(settings: Settings, operators: str) -> None:
    settings.operators_file.write_text(operators)
    with pytest.raises(ValueError, match="validation error"):
        create_app(settings)


async def four_decisions(store: Store) -> list[dict[str, Any]]:
    """Four decisions of acme, a second apart; the first one's call timed out."""
    records = [
        decided(at=f"2026-03-01T12:00:0{second}Z", workflow_id=f"w-{second}", **more)
        for second, more in enumerate(
            (
                {},
                {"allow": False, "action": {"kind": "tool_call", "name": "bank.send_money"}},
                {
                    "principal": {
                        "id": "boss",
                        "role": "executive",
                        "tenant": "acme",
                        "user": None,
                        "method": "jwt",
                    }
                },
                {},
            )
        )
    ]
    ended = completed(records[0], outcome="unknown", code="upstream_timeout")
    await store.record([of_record("decided", record) for record in records])
    await store.record([of_record("completed", ended)])
    return records
