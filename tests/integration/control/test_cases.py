"""Cases: opened by Rego over the event stream within seconds, once, with evidence; never for a clean flow."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from nats.js.errors import NotFoundError

from adapters.nats import Bus, BusAddress
from control.app import create_app
from control.config import Settings
from schemas.events.registry import Event, event
from schemas.ids import new_id
from tests.fixtures.events import completed, of_record, spend
from tests.fixtures.servers import NATS_PASSWORDS, OpaServer, StartOpa
from tests.integration.control.agent import WITHIN_S, Agent
from tests.integration.control.conftest import running, until
from tollhouse.local.guard import write_bundle, write_guard

pytestmark = pytest.mark.requirement("CMP-01")

OTHER = {"authorization": "Bearer otto-key"}


@pytest.fixture
def opa(start_opa: StartOpa, tmp_path: Path) -> OpaServer:
    """OPA with our rules, where control's token opens its own path alone."""
    tokens = {"control": "control-token", "operator": "operator-token"}
    guard = write_guard(tmp_path / "guard", tokens)
    return start_opa([guard, write_bundle("compliance", tmp_path / "compliance")], "operator-token")


@pytest.fixture
def own(settings: Settings, opa: OpaServer, tmp_path: Path) -> Settings:
    (tmp_path / "opa").write_text("control-token\n")
    return settings.model_copy(
        update={
            "opa_url": opa.url,
            "opa_token_file": tmp_path / "opa",
            "record_wait_ms": 50,
            "case_watch_interval_ms": 50,
            "outbox_interval_ms": 20,
        }
    )


@pytest.fixture
async def client(own: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(own)) as client:

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await until(ready)
        yield client


@pytest.fixture
async def gateway(client: httpx.AsyncClient, settings: Settings) -> AsyncIterator[Bus]:
    bus = await Bus.connect(BusAddress(settings.nats_url, "gateway", NATS_PASSWORDS["gateway"]))
    yield bus
    await bus.close()


@pytest.fixture
async def relay(client: httpx.AsyncClient, settings: Settings) -> AsyncIterator[Bus]:
    bus = await Bus.connect(BusAddress(settings.nats_url, "relay", NATS_PASSWORDS["relay"]))
    yield bus
    await bus.close()


@pytest.fixture
def agent() -> Agent:
    return Agent()


async def told(client: httpx.AsyncClient, event_type: str, case_id: str) -> Event:
    """The event about a case, as it came back over the bus."""
    found: list[Event] = []

    async def there() -> bool:
        items = (await client.get("/v1/events", params={"type": event_type, "limit": 500})).json()["items"]
        found[:] = [item for item in items if item["payload"]["case_id"] == case_id]
        return bool(found)

    await until(there, WITHIN_S)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("no_authorization_record", "execution_without_authorization"),
        ("spend_exceeds_ceiling", "execution_above_ceiling"),
    ],
)
async def test_an_execution_that_was_not_authorized_opens_a_case(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent, code: str, kind: str
) -> None:
    shown = agent.refused("treasury.execute", code)
    await gateway.publish(shown)
    case = await agent.case(client)
    assert (case["kind"], case["status"], case["agent"]) == (kind, "open", agent.id)
    assert case["subject"] == f"workflow/{agent.workflow_id}/agent/{agent.id}"
    assert case["evidence"] == [shown]
    opened = await told(client, "compliance.case_opened", case["id"])
    assert opened["payload"]["evidence"] == [shown["event_id"]]
    assert opened["workflow_id"] == agent.workflow_id


async def test_what_the_ledger_refused_opens_one_too(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent
) -> None:
    record = agent.record("treasury.execute")
    ended = completed(record, outcome="failed", code="spend_exceeds_ceiling")
    await gateway.publish_batch([of_record("decided", record), of_record("completed", ended)])
    case = await agent.case(client)
    assert case["kind"] == "execution_above_ceiling"
    assert [shown["event_type"] for shown in case["evidence"]] == ["gateway.completed"]


async def test_an_agent_refused_too_often_opens_one_with_all_refusals(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent
) -> None:
    refusals = [agent.refused() for _ in range(20)]
    await gateway.publish_batch(refusals)
    evidence = await agent.evidence(client, 20)
    assert sorted(shown["event_id"] for shown in evidence) == sorted(shown["event_id"] for shown in refusals)
    case = await agent.case(client)
    assert (case["kind"], case["subject"]) == ("refused_too_often", f"agent/{agent.id}")
    more = agent.refused()
    await gateway.publish(more)
    assert more in await agent.evidence(client, 21)


async def flushed(client: httpx.AsyncClient, gateway: Bus) -> None:
    """Everything that was published before this has been judged."""
    marker = Agent()
    await gateway.publish(marker.refused("treasury.execute", "no_authorization_record"))
    await marker.case(client)


async def test_refusals_that_are_few_or_far_apart_or_nobodys_fault_open_none(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent
) -> None:
    now = datetime.now(UTC)
    apart = Agent()
    spread = [
        apart.refused(at=(now - timedelta(seconds=4 * place)).isoformat()) for place in reversed(range(30))
    ]
    waiting = [agent.refused(code="approval_required") for _ in range(30)]
    few = [agent.refused() for _ in range(19)]
    await gateway.publish_batch([*spread, *waiting, *few])
    await flushed(client, gateway)
    assert await agent.cases(client) == await apart.cases(client) == []


async def test_a_clean_flow_opens_none(
    client: httpx.AsyncClient, gateway: Bus, relay: Bus, agent: Agent
) -> None:
    record = agent.record("treasury.execute")
    await gateway.publish_batch([of_record("decided", record), of_record("completed", completed(record))])
    await relay.publish_batch(spend("acme", agent.workflow_id))
    await flushed(client, gateway)
    answer = await client.get("/v1/cases", params={"workflow_id": agent.workflow_id})
    assert answer.json() == {"items": [], "next_cursor": None}


def unknown(agent: Agent, age_s: int, hold_id: str) -> Event:
    payload = spend("acme", agent.workflow_id)[0]["payload"]
    del payload["policy_version"]
    settled = {"authorization_id": new_id(), "hold_id": hold_id, "decision_id": new_id()}
    return event(
        "treasury.hold_unknown",
        payload | settled | {"principal": agent.id},
        tenant="acme",
        workflow_id=agent.workflow_id,
        correlation_id="c",
        occurred_at=(datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(),
    )


async def test_an_outcome_unknown_for_too_long_opens_one(
    client: httpx.AsyncClient, gateway: Bus, relay: Bus, agent: Agent
) -> None:
    hold_id, young = new_id(), Agent()
    await relay.publish_batch([unknown(agent, 901, hold_id), unknown(young, 800, new_id())])
    case = await agent.case(client)
    assert (case["kind"], case["subject"]) == ("hold_unknown_too_long", f"hold/{hold_id}")
    assert [shown["event_type"] for shown in case["evidence"]] == ["treasury.hold_unknown"]
    assert await young.cases(client) == []


async def test_one_that_was_settled_meanwhile_opens_none(
    client: httpx.AsyncClient, gateway: Bus, relay: Bus, agent: Agent
) -> None:
    events = spend("acme", agent.workflow_id)
    held = unknown(agent, 901, events[2]["payload"]["hold_id"])
    await relay.publish_batch([*events, held])
    later = Agent()
    await relay.publish(unknown(later, 901, new_id()))
    await later.case(client)
    assert await agent.cases(client) == []


@pytest.mark.requirement("EVT-03")
async def test_what_is_judged_stands_in_the_order_of_its_workflow(
    client: httpx.AsyncClient, gateway: Bus, relay: Bus, agent: Agent
) -> None:
    """The judge is a reader of its own, and looks at a few kinds of events alone."""
    told: dict[str, list[str]] = {}
    for _ in range(50):
        one = Agent()
        events = spend("acme", one.workflow_id)
        events.insert(2, unknown(one, 1, events[2]["payload"]["hold_id"]))
        told[one.workflow_id] = [event["event_id"] for event in events]
        await relay.publish_batch(events)
    await flushed(client, gateway)
    for workflow_id, ids in told.items():
        trail = (await client.get("/v1/events", params={"workflow_id": workflow_id})).json()["items"]
        assert [event["event_id"] for event in trail] == ids


@pytest.mark.requirement("EVT-04")
async def test_the_same_events_again_add_nothing_even_to_what_is_resolved(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent, own: Settings, control_database: str, admin: Any
) -> None:
    execution = agent.refused("treasury.execute", "no_authorization_record")
    await gateway.publish(execution)
    case = await agent.case(client)

    async def again() -> None:
        """As a stream that lost its memory of ids would take it."""
        headers = {"Nats-Msg-Id": new_id()}
        await admin.publish(execution["event_type"], orjson.dumps(execution), headers=headers)
        await flushed(client, gateway)

    await again()
    assert await agent.case(client) == case
    resolved = {"resolution": "dismissed", "note": "a test"}
    await client.post(f"/v1/cases/{case['id']}/resolve", json=resolved)
    await again()
    assert [found["status"] for found in await agent.cases(client)] == ["resolved"]
    connection = await asyncpg.connect(control_database)
    opened = await connection.fetchval(
        "SELECT count(*) FROM control.outbox WHERE event #>> '{payload,case_id}' = $1", case["id"]
    )
    await connection.close()
    assert opened == 2


async def test_after_a_resolution_counting_begins_anew(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent
) -> None:
    await gateway.publish_batch([agent.refused() for _ in range(20)])
    await agent.evidence(client, 20)
    case = await agent.case(client)
    await client.post(f"/v1/cases/{case['id']}/resolve", json={"resolution": "confirmed"})
    await gateway.publish_batch([agent.refused() for _ in range(19)])
    await flushed(client, gateway)
    assert len(await agent.cases(client)) == 1
    await gateway.publish(agent.refused())

    async def second() -> bool:
        return len(await agent.cases(client)) == 2

    await until(second, WITHIN_S)
    assert len(await agent.cases(client, status="open")) == 1


async def test_it_is_assigned_and_resolved_once(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent
) -> None:
    await gateway.publish(agent.refused("treasury.execute", "no_authorization_record"))
    path = f"/v1/cases/{(await agent.case(client))['id']}"
    unknown_operator = await client.post(f"{path}/assign", json={"operator": "otto"})
    assert (unknown_operator.status_code, unknown_operator.json()["detail"][0]["loc"]) == (
        422,
        ["body", "operator"],
    )
    assigned = (await client.post(f"{path}/assign", json={"operator": "olga"})).json()
    assert (assigned["status"], assigned["assigned_to"]) == ("assigned", "olga")
    answer = await client.post(f"{path}/resolve", json={"resolution": "confirmed", "note": "key rotated"})
    resolved = answer.json()
    assert answer.status_code == 200
    assert (resolved["status"], resolved["resolution"], resolved["resolved_by"]) == (
        "resolved",
        "confirmed",
        "olga",
    )
    assert resolved["note"] == "key rotated"
    for act, body in (("assign", {"operator": "olga"}), ("resolve", {"resolution": "dismissed"})):
        refused = await client.post(f"{path}/{act}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "case_resolved")
    closed = await told(client, "compliance.case_closed", resolved["id"])
    assert (closed["payload"]["by"], closed["payload"]["note"]) == ("olga", "key rotated")


async def test_another_tenants_case_is_not_there(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent
) -> None:
    await gateway.publish(agent.refused("treasury.execute", "no_authorization_record"))
    path = f"/v1/cases/{(await agent.case(client))['id']}"
    assert (await client.get("/v1/cases", headers=OTHER)).json()["items"] == []
    for asked in (
        client.get(path, headers=OTHER),
        client.post(f"{path}/assign", json={"operator": "otto"}, headers=OTHER),
        client.post(f"{path}/resolve", json={"resolution": "x"}, headers=OTHER),
    ):
        answer = await asked
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_cases_are_paged_and_chosen(client: httpx.AsyncClient, gateway: Bus, agent: Agent) -> None:
    workflows = [new_id() for _ in range(3)]
    for workflow_id in workflows:
        agent.workflow_id = workflow_id
        await gateway.publish(agent.refused("treasury.execute", "no_authorization_record"))

    async def all_there() -> bool:
        return len(await agent.cases(client)) == 3

    await until(all_there, WITHIN_S)
    seen: list[str] = []
    query = {"agent": agent.id, "limit": "2"}
    while True:
        page = (await client.get("/v1/cases", params=query)).json()
        seen += [item["workflow_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == workflows[::-1]
    assert len(await agent.cases(client, workflow_id=workflows[1])) == 1
    assert await agent.cases(client, kind="refused_too_often") == []
    for bad in ({"cursor": "x"}, {"cursor": "WyJhIiwiYiJd"}, {"status": "lost"}, {"limit": "0"}):
        assert (await client.get("/v1/cases", params=bad)).status_code == 422


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"resolution": "a", "resolution": "b"}', 400),
        (b"{", 400),
        (b'{"resolution": ""}', 422),
        (b'{"resolution": "a", "by": "me"}', 422),
        (b'{"note": "a"}', 422),
        (b'{"resolution": "' + b"a" * 70_000 + b'"}', 413),
    ],
)
async def test_bad_bodies_are_refused(client: httpx.AsyncClient, content: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    answer = await client.post(f"/v1/cases/{new_id()}/resolve", content=content, headers=headers)
    assert answer.status_code == status


async def test_while_opa_is_away_the_record_goes_on_and_cases_follow(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent, opa: OpaServer
) -> None:
    opa.kill()
    shown = agent.refused("treasury.execute", "no_authorization_record")
    await gateway.publish(shown)

    async def recorded() -> bool:
        return (await client.get(f"/v1/decisions/{shown['payload']['decision_id']}")).status_code == 200

    await until(recorded)
    assert await agent.cases(client) == []
    opa.start()
    assert (await agent.case(client))["evidence"] == [shown]


async def test_an_outcome_without_its_decision_is_set_apart(
    client: httpx.AsyncClient, gateway: Bus, agent: Agent, admin: Any
) -> None:
    ended = completed(agent.record(), outcome="failed", code="no_authorization_record")
    await gateway.publish(of_record("completed", ended))

    async def buried() -> bool:
        try:
            letter = await admin.get_last_msg("DEAD_LETTERS", "dead_letters.compliance")
        except NotFoundError:
            return False
        return ended["decision_id"] in letter.headers["Tollhouse-Reason"]

    await until(buried)
