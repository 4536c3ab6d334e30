"""What the bus tells is kept once and shown to its own tenant's operators alone."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from adapters.nats import Bus, BusAddress
from control.app import create_app
from control.config import Settings
from schemas.ids import new_id
from tests.fixtures.events import completed, decided, of_record, spend
from tests.fixtures.servers import NATS_PASSWORDS
from tests.integration.control.conftest import running, until

OTHER = {"authorization": "Bearer otto-key"}


@pytest.fixture
async def gateway(client: httpx.AsyncClient, settings: Settings) -> AsyncIterator[Bus]:
    """The gateway's connection; the streams are there."""
    await until_ready(client)
    bus = await Bus.connect(BusAddress(settings.nats_url, "gateway", NATS_PASSWORDS["gateway"]))
    yield bus
    await bus.close()


@pytest.fixture
async def relay(client: httpx.AsyncClient, settings: Settings) -> AsyncIterator[Bus]:
    await until_ready(client)
    bus = await Bus.connect(BusAddress(settings.nats_url, "relay", NATS_PASSWORDS["relay"]))
    yield bus
    await bus.close()


async def until_ready(client: httpx.AsyncClient) -> None:
    async def ready() -> bool:
        return (await client.get("/readyz")).status_code == 200

    await until(ready)


async def shown(client: httpx.AsyncClient, decision_id: str, outcome: str | None = None) -> dict[str, Any]:
    """The decision as soon as it is there (with its outcome)."""
    found: dict[str, Any] = {}

    async def there() -> bool:
        answer = await client.get(f"/v1/decisions/{decision_id}")
        found.update(answer.json())
        return answer.status_code == 200 and (outcome is None or found["outcome"] == outcome)

    await until(there)
    return found


@pytest.mark.requirement("AUD-02")
async def test_a_decision_and_its_outcome_are_shown_together(client: httpx.AsyncClient, gateway: Bus) -> None:
    record = decided(workflow_id="w-1")
    ending = completed(record, journal_entry_id="je-1")
    await gateway.publish(of_record("decided", record))
    assert (await shown(client, record["decision_id"]))["outcome"] is None
    await gateway.publish(of_record("completed", ending))
    answer = await shown(client, record["decision_id"], "succeeded")
    assert answer["id"] == record["decision_id"]
    for member in ("at", "principal", "action", "resource", "arguments_sha256", "allow", "reasons"):
        assert answer[member] == record[member]
    assert answer["policy"] == record["policy"]
    assert (answer["journal_entry_id"], answer["status"], answer["duration_ms"]) == ("je-1", 200, 12)
    assert answer["correlation_id"] == record["correlation_id"]


@pytest.mark.requirement("AUD-01")
async def test_an_outcome_may_come_before_its_decision(client: httpx.AsyncClient, gateway: Bus) -> None:
    record = decided()
    await gateway.publish(
        of_record("completed", completed(record, outcome="failed", code="upstream_timeout"))
    )
    await gateway.publish(of_record("decided", record))
    answer = await shown(client, record["decision_id"], "failed")
    assert answer["code"] == "upstream_timeout"


@pytest.mark.requirement("AUD-01")
async def test_a_refusal_is_on_the_record(client: httpx.AsyncClient, gateway: Bus) -> None:
    record = decided(allow=False)
    await gateway.publish(of_record("decided", record))
    answer = await shown(client, record["decision_id"])
    assert (answer["allow"], answer["outcome"]) == (False, "refused")
    assert answer["reasons"][0]["code"] == "tool_not_allowed"


@pytest.mark.requirement("EVT-01")
async def test_the_same_event_is_kept_once(client: httpx.AsyncClient, gateway: Bus) -> None:
    workflow_id = new_id()
    record = decided(workflow_id=workflow_id)
    twice = [of_record("decided", record, event_id) for event_id in (new_id(), new_id())]
    await gateway.publish(twice[0])
    await gateway.publish(twice[0])
    await gateway.publish(twice[1])
    last = decided(workflow_id=workflow_id)
    await gateway.publish(of_record("decided", last))
    await shown(client, last["decision_id"])
    listed = (await client.get("/v1/decisions", params={"workflow_id": workflow_id})).json()
    assert [item["id"] for item in listed["items"]].count(record["decision_id"]) == 1
    trail = (await client.get("/v1/events", params={"workflow_id": workflow_id})).json()["items"]
    assert [event["event_id"] for event in trail].count(twice[0]["event_id"]) == 1


@pytest.mark.requirement("EVT-03")
async def test_the_trail_of_a_workflow_is_in_order(client: httpx.AsyncClient, relay: Bus) -> None:
    workflow_id = new_id()
    events = spend("acme", workflow_id)
    assert await relay.publish_batch(events) == 3

    async def whole() -> bool:
        answer = await client.get("/v1/events", params={"workflow_id": workflow_id, "type": "treasury.*"})
        return len(answer.json()["items"]) == 3

    await until(whole)
    trail = (await client.get("/v1/events", params={"workflow_id": workflow_id})).json()
    assert trail["items"] == events
    assert [event["event_type"] for event in trail["items"]] == [
        "treasury.intent_created",
        "treasury.authorized",
        "treasury.executed",
    ]
    other = await client.get("/v1/events", params={"workflow_id": workflow_id}, headers=OTHER)
    assert other.json() == {"items": [], "next_cursor": None}


async def test_events_are_paged_and_chosen_by_type(client: httpx.AsyncClient, relay: Bus) -> None:
    workflow_id = new_id()
    events = spend("acme", workflow_id)
    await relay.publish_batch(events)
    query: dict[str, Any] = {"workflow_id": workflow_id, "type": "treasury.executed"}

    async def there() -> bool:
        return len((await client.get("/v1/events", params=query)).json()["items"]) == 1

    await until(there)
    seen = []
    query = {"workflow_id": workflow_id, "limit": 2}
    while True:
        page = (await client.get("/v1/events", params=query)).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == events


@pytest.mark.requirement("EVT-02")
@pytest.mark.parametrize(
    ("subject", "data", "why"),
    [
        ("gateway.decided", b"{not json", "not JSON"),
        ("gateway.decided", b"[]", "object"),
        ("gateway.invented", b'{"event_type": "gateway.invented", "schema_version": 1}', "no schema"),
        ("gateway.decided", b'{"event_type": "gateway.decided", "schema_version": 2}', "no schema"),
        ("gateway.decided", b'{"event_type": "gateway.decided", "schema_version": 1}', "required"),
    ],
)
async def test_what_is_no_event_goes_to_the_dead_letters(
    client: httpx.AsyncClient, gateway: Bus, admin: Any, subject: str, data: bytes, why: str
) -> None:
    await admin.publish(subject, data, stream="TOLLHOUSE_EVENTS")
    record = decided()
    await gateway.publish(of_record("decided", record))
    await shown(client, record["decision_id"])
    letter = await admin.get_last_msg("DEAD_LETTERS", "dead_letters.recorder")
    assert letter.data == data
    assert why in letter.headers["Tollhouse-Reason"]
    assert letter.headers["Tollhouse-Subject"] == subject


@pytest.mark.requirement("SEC-03")
async def test_an_event_under_another_services_subject_is_not_believed(
    client: httpx.AsyncClient, gateway: Bus, admin: Any
) -> None:
    workflow_id = new_id()
    forged = spend("acme", workflow_id)[2]
    await admin.publish("gateway.decided", orjson.dumps(forged))
    record = decided()
    await gateway.publish(of_record("decided", record))
    await shown(client, record["decision_id"])
    letter = await admin.get_last_msg("DEAD_LETTERS", "dead_letters.recorder")
    assert "came on the subject" in letter.headers["Tollhouse-Reason"]
    trail = await client.get("/v1/events", params={"workflow_id": workflow_id})
    assert trail.json()["items"] == []


async def test_a_text_that_postgresql_cannot_hold_is_kept_without_it(
    client: httpx.AsyncClient, gateway: Bus
) -> None:
    record = decided(action={"kind": "tool_call", "name": "bank.\x00get"}, allow=False)
    await gateway.publish(of_record("decided", record))
    assert (await shown(client, record["decision_id"]))["action"]["name"] == "bank.\ufffdget"


async def test_the_record_goes_on_after_a_restart(settings: Settings) -> None:
    first, second = decided(), decided()
    async with running(create_app(settings)) as client:
        await until_ready(client)
        bus = await Bus.connect(BusAddress(settings.nats_url, "gateway", NATS_PASSWORDS["gateway"]))
        await bus.publish(of_record("decided", first))
        await shown(client, first["decision_id"])
    await bus.publish(of_record("decided", second))
    await bus.close()
    async with running(create_app(settings)) as client:
        await shown(client, second["decision_id"])
        await shown(client, first["decision_id"])
