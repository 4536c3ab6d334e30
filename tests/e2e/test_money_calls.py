"""Paid tool calls: held, forwarded, settled, through real processes, some of which are killed."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.hold import standing_workflow
from gateway.core.identify import Principal
from schemas.ids import new_id
from tests.fixtures.deadlines import HUNG_S
from tests.fixtures.gateways import GatewayProcess
from tests.fixtures.servers import StartOpa, eventually
from tests.fixtures.tollroad import (
    BUDGET_CENTS,
    EXECUTOR,
    RULES,
    Tollroad,
    daily,
    policy_bundle,
    priced,
    tollroad,
    write_policy,
)
from tests.fixtures.treasury import LedgerDatabase

ROLES: dict[str, Any] = {"executor": EXECUTOR, "idler": {"tools": {}, "patterns": []}}


@pytest.fixture
async def road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path
) -> AsyncIterator[Tollroad]:
    opa = start_opa([policy_bundle(tmp_path / "policy", ROLES, RULES)])
    async with tollroad(ledger_database, opa, tmp_path, gateways=2) as road:
        yield road


@pytest.fixture
async def mortal_road(
    ledger_database: LedgerDatabase, start_opa: StartOpa, tmp_path: Path
) -> AsyncIterator[Tollroad]:
    """Its gateway is a process that may be killed."""
    opa = start_opa([policy_bundle(tmp_path / "policy", ROLES, RULES)])
    async with tollroad(ledger_database, opa, tmp_path, GatewayProcess) as road:
        yield road


async def until_holds_are(road: Tollroad, expected: list[tuple[str, int]]) -> None:
    """Ask the ledger until its holds are these."""
    async with asyncio.timeout(15):
        while (found := await road.holds()) != expected:
            assert len(found) <= len(expected), found
            await asyncio.sleep(0.05)


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("AUD-02")
async def test_a_success_is_captured_once_and_posted(road: Tollroad) -> None:
    answer = await road.call("/ok")
    assert answer.status_code == 200, answer.text
    assert await road.holds() == [("captured", 100)]
    balance = await road.read("trial-balance")
    assert balance["balanced"]
    sides = {item["account"]: (item["debits_cents"], item["credits_cents"]) for item in balance["items"]}
    assert sides == {"tool": (100, 0), "tollhouse:operating": (0, 100)}
    decision_id = answer.headers["x-decision-id"]
    told = await road.ask("GET", f"/v1/decisions/{decision_id}", key="scout-key")
    statement = await road.read("accounts/tool/statement")
    assert told.json()["journal_entry_id"] == statement["items"][0]["journal_entry_id"]


@pytest.mark.requirement("GW-10")
async def test_each_ending_settles_its_hold(road: Tollroad) -> None:
    expected = []
    for path, status, hold in (
        ("/fail", 500, "voided"),
        ("/charged/fail", 500, "captured"),
        ("/cut", 502, "unknown"),
    ):
        assert (await road.call(path)).status_code == status
        expected.append((hold, 100))
        assert await road.holds() == expected
    (unknown,) = (await road.read("holds?status=unknown"))["items"]
    assert unknown["amount_cents"] == 100


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-14")
async def test_a_call_that_cannot_be_priced_goes_nowhere(road: Tollroad) -> None:
    amounts = ('"5"', "0", "-1", "true", "null", "0.001", "9007199254740993")
    for body in ("{}", *(f'{{"amount": {amount}}}' for amount in amounts)):
        answer = await road.call("/pay", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (403, "call_unpriceable"), body
        assert answer.json()["decision_id"] == answer.headers["x-decision-id"]
    assert road.tool.calls == []
    assert await road.holds() == []


@pytest.mark.requirement("GW-10")
async def test_a_new_price_holds_from_the_next_call_on(road: Tollroad, tmp_path: Path) -> None:
    by_argument = EXECUTOR["tools"]["tool.POST /pay"]
    steps: list[tuple[dict[str, Any], int | None]] = [
        (priced(100), 100),
        (priced(70), 70),
        (by_argument, None),
        (priced(30), 30),
        ({"additional_arguments": True}, 0),
        (priced(20), 20),
    ]
    for grant, cents in steps:
        road.opa.kill()
        role = EXECUTOR | {"tools": {"tool.POST /ok": grant}}
        write_policy(tmp_path / "policy", {"executor": role}, [])
        road.opa.start()
        answer = await road.call("/ok")
        assert answer.status_code == (403 if cents is None else 200), answer.text
    charged = [cents for _, cents in steps if cents]
    assert await road.holds() == [("captured", cents) for cents in charged]


@pytest.mark.requirement("GW-10")
async def test_the_amount_of_an_argument_is_held_to_the_cent(road: Tollroad) -> None:
    answer = await road.call("/pay", content='{"amount": 1.23}', headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert await road.holds() == [("captured", 123)]


@pytest.mark.requirement("TRE-11")
@pytest.mark.requirement("GW-10")
async def test_two_gateways_never_spend_a_budget_twice(road: Tollroad) -> None:
    calls = [
        road.call("/ok", gateway=number % 2, key=("scout-key", "rival-key")[number % 3 == 0])
        for number in range(30)
    ]
    answers = await asyncio.gather(*calls)
    codes = [
        answer.json().get("code") if answer.status_code == 403 else answer.status_code for answer in answers
    ]
    affordable = BUDGET_CENTS // 100
    assert codes.count(200) == affordable
    assert codes.count("budget_exceeded") == len(calls) - affordable
    assert len(road.tool.calls) == affordable
    assert await road.holds() == [("captured", 100)] * affordable
    (budget,) = (await road.read("budgets"))["items"]
    assert (budget["held_cents"], budget["captured_cents"]) == (0, BUDGET_CENTS)


@pytest.mark.requirement("GW-19")
async def test_without_the_treasury_paid_calls_are_refused_and_free_ones_go_on(road: Tollroad) -> None:
    road.treasury.kill()
    began_s = time.monotonic()
    answer = await road.call("/ok")
    assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
    assert "retry-after" in answer.headers
    assert time.monotonic() - began_s < HUNG_S
    assert (await road.call("/free")).status_code == 200
    assert road.tool.calls == ["/free"]


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
async def test_a_treasury_killed_between_hold_and_capture_hears_of_it_later(road: Tollroad) -> None:
    call = asyncio.create_task(road.call("/wait"))
    await road.tool.called.wait()
    road.treasury.kill()
    road.tool.go.set()
    assert (await call).status_code == 200
    assert await road.holds() == [("placed", 100)]
    road.treasury.start()
    await until_holds_are(road, [("captured", 100)])


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("AUD-01")
async def test_a_gateway_killed_during_a_call_settles_it_as_unknown_at_its_next_start(
    mortal_road: Tollroad,
) -> None:
    road, (gateway, *_) = mortal_road, mortal_road.gateways
    assert isinstance(gateway, GatewayProcess)
    call = asyncio.create_task(road.call("/wait"))
    await road.tool.called.wait()
    gateway.kill()
    with pytest.raises(httpx.RemoteProtocolError):
        await call
    assert await road.holds() == [("placed", 100)]
    await gateway.start()
    await until_holds_are(road, [("unknown", 100)])
    (budget,) = (await road.read("budgets"))["items"]
    assert budget["remaining_cents"] == BUDGET_CENTS - 100


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-02")
async def test_a_call_that_a_person_must_approve_waits_with_its_money_held(road: Tollroad) -> None:
    answer = await road.call("/ask")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (403, "approval_required")
    assert road.tool.calls == []
    assert await road.holds() == [("placed", 100)]
    authorization = await road.read(f"authorizations/{body['approval_id']}", key="scout-key")
    assert (authorization["status"], authorization["approved"]) == ("pending", False)


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-20")
async def test_a_call_is_booked_to_the_workflow_that_it_names(road: Tollroad) -> None:
    workflow_id = new_id()
    answer = await road.call("/ok", headers={"x-workflow-id": workflow_id})
    assert answer.status_code == 200, answer.text
    balance = await road.read(f"workflows/{workflow_id}/balance")
    assert (balance["captured_cents"], balance["held_cents"]) == (100, 0)
    standing = standing_workflow(Principal("scout", "executor", "acme", "api_key"))
    await road.call("/ok")
    assert (await road.read(f"workflows/{standing}/balance"))["captured_cents"] == 100
    answer = await road.call("/ok", headers={"x-workflow-id": "payday"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.requirement("AUD-01")
@pytest.mark.requirement("TRE-11")
async def test_a_refusal_by_a_budget_is_on_record(road: Tollroad) -> None:
    answer = await road.call(
        "/pay", content='{"amount": 10.01}', headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "spend_exceeds_ceiling")
    for _ in range(2):
        answer = await road.call(
            "/pay", content='{"amount": 5.00}', headers={"content-type": "application/json"}
        )
        assert answer.status_code == 200
    answer = await road.call("/ok")
    assert (answer.status_code, answer.json()["code"]) == (403, "budget_exceeded")
    told = await road.ask("GET", f"/v1/decisions/{answer.headers['x-decision-id']}", key="scout-key")
    assert told.json()["allow"] is False
    assert told.json()["reasons"][0]["code"] == "budget_exceeded"
    assert road.tool.calls == ["/pay", "/pay"]


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
@pytest.mark.requirement("TRE-13")
async def test_a_treasury_killed_again_and_again_charges_every_answer_once(
    road: Tollroad, tmp_path: Path
) -> None:
    write_policy(tmp_path / "policy", {"executor": EXECUTOR | {"budgets": [daily(10**6)]}}, [])
    road.opa.kill()
    road.opa.start()
    answers: list[httpx.Response] = []
    ended = asyncio.Event()

    async def caller(gateway: int) -> None:
        while not ended.is_set():
            answers.append(await road.call("/ok", gateway=gateway))

    callers = [asyncio.create_task(caller(number % 2)) for number in range(6)]
    for _ in range(3):
        served = len(answers)
        await eventually(lambda least=served + 20: len(answers) >= least, 30)
        road.treasury.kill()
        await asyncio.to_thread(road.treasury.start)
    ended.set()
    await asyncio.gather(*callers)
    outcomes = Counter(answer.status_code for answer in answers)
    assert set(outcomes) <= {200, 503}
    assert len(road.tool.calls) == outcomes[200]
    async with asyncio.timeout(15):
        while Counter(status for status, _ in await road.holds())["captured"] < outcomes[200]:
            await asyncio.sleep(0.05)
    holds = Counter(status for status, _ in await road.holds())
    assert holds["captured"] == outcomes[200]
    assert (await road.read("trial-balance"))["debits_cents"] == 100 * outcomes[200]


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-03")
async def test_an_agent_ends_no_paid_call_of_its_own_while_the_tool_works(
    road: Tollroad, tmp_path: Path
) -> None:
    spend = EXECUTOR["spend"] | {"purposes": ["tool_call"], "payees": ["*"]}
    write_policy(tmp_path / "policy", {"executor": EXECUTOR | {"spend": spend}}, [])
    road.opa.kill()
    road.opa.start()
    call = asyncio.create_task(road.call("/wait"))
    await road.tool.called.wait()
    (hold,) = (await road.read("holds", key="scout-key"))["items"]
    intent = {"intent_id": hold["intent_id"]}
    for act, body in (("void", intent), ("execute", intent | {"recipient_account": "scout:pocket"})):
        refused = await road.spend(act, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "no_authorization_record")
        told = await road.ask("GET", f"/v1/decisions/{refused.headers['x-decision-id']}", key="scout-key")
        assert told.json()["outcome"] == "refused"
    road.tool.go.set()
    assert (await call).status_code == 200
    assert await road.holds() == [("captured", 100)]


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-13")
async def test_an_agent_takes_no_key_of_its_gateway(road: Tollroad) -> None:
    call = asyncio.create_task(road.call("/wait"))
    await road.tool.called.wait()
    (hold,) = (await road.read("holds", key="scout-key"))["items"]
    spend = {"amount_cents": 1, "currency": "USD", "purpose": "api_call", "payee": "vendor-1"}
    intent = spend | {"workflow_id": new_id()}
    for key in (f"{hold['id']}:capture", f"gateway:{hold['id']}:capture"):
        assert (await road.spend("intents", intent, idempotency_key=key)).status_code == 201
    road.tool.go.set()
    assert (await call).status_code == 200
    assert await road.holds() == [("captured", 100)]


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("AUD-02")
async def test_a_capture_that_the_treasury_refuses_leaves_its_hold_unknown_and_says_so(
    road: Tollroad,
) -> None:
    call = asyncio.create_task(road.call("/wait"))
    await road.tool.called.wait()
    (hold,) = (await road.read("holds", key="scout-key"))["items"]
    await road.rows(
        "INSERT INTO treasury.idempotency (tenant_id, key, request_sha256, status, answer)"
        f" VALUES ('acme', 'gateway:{hold['id']}:capture', 'taken', 200, '{{}}')"
    )
    road.tool.go.set()
    answer = await call
    assert answer.status_code == 200
    assert await road.holds() == [("unknown", 100)]
    told = await road.ask("GET", f"/v1/decisions/{answer.headers['x-decision-id']}", key="scout-key")
    assert (told.json()["outcome"], told.json()["code"]) == ("succeeded", "idempotency_mismatch")
