"""What is killed under load: every call is answered or refused as the table of failures says.

After each drill: no refused call reached a tool, what was acknowledged happened once, the books are sound,
and nothing that was decided is missing from the record.
"""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.ids import new_id
from tests.e2e.insider import rows_of
from tests.fixtures.deadlines import HUNG_S
from tests.fixtures.drill import Drill, drilling
from tests.fixtures.stack import alive, wait_for
from tests.fixtures.traffic import Traffic

PAID = ("paid", "mcp")
MONEY = (*PAID, "authorize", "execute")
ALL = ("free", *MONEY)
DEADLINE_S = 6.0
RECOVERY_S = 20.0
REFUSED_AS: dict[str, dict[str, tuple[str, ...]]] = {
    "opa": {"policy_unavailable": ALL},
    "treasury": {"treasury_unavailable": MONEY},
    "postgres": {"treasury_unavailable": MONEY},
    "gateway": {"cut": ALL},
    "control": {},
    "relay": {},
    "nats": {},
}


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """A stack of which anything may be killed."""
    with drilling(tmp_path_factory.mktemp("failures"), upstream_timeout_s=4.0) as running:
        yield running


@pytest.fixture
def whole(mortal: Drill) -> Drill:
    """The stack with everything in it at work again."""
    wait_for(
        lambda: all(works(mortal, name) for name in ("gateway", "treasury", "control")), 20.0, "the stack"
    )
    wait_for(lambda: mortal.client.get("/tools/shop/free").status_code == 200, 20.0, "calls")
    return mortal


def works(drill: Drill, name: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(drill.ready[name] + "/readyz", timeout=5).status_code == 200
    return False


def pid_of(drill: Drill, name: str) -> int:
    """Its process as it is now, 0 while the stack itself does not say."""
    with contextlib.suppress(FileNotFoundError):
        return int(drill.kept()["pids"][name])
    return 0


def kill(drill: Drill, name: str) -> None:
    """SIGKILL, until another one has taken its place."""
    victim = pid_of(drill, name)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not alive(victim) and pid_of(drill, name) not in {0, victim}, 10.0, f"a new {name}")


@pytest.mark.requirement("GW-19")
@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("TRE-06")
@pytest.mark.requirement("TRE-19")
@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize("name", sorted(REFUSED_AS))
def test_killed_under_load(whole: Drill, name: str) -> None:
    with Traffic(whole.ready["gateway"], whole.ready["agents"]["scout"]) as traffic:
        wait_for(lambda: all_done(traffic, since=0), RECOVERY_S, "traffic")
        kill(whole, name)
        since = len(traffic.came)
        wait_for(lambda: all_done(traffic, since), RECOVERY_S, f"calls after {name} was killed")
    assert traffic.failures == []
    retry_executions(traffic)
    check_answers(traffic, name)
    check_upstream(whole, traffic)
    check_money(whole, traffic)
    check_record(whole, traffic)
    verified = whole.verify()
    assert verified.returncode == 0, verified.stdout + verified.stderr


def all_done(traffic: Traffic, since: int) -> bool:
    """Whether since then a few calls of each kind went well."""
    done = Counter(each.kind for each in traffic.came[since:] if each.done)
    return all(done[kind] >= 3 for kind in ALL)


def retry_executions(traffic: Traffic) -> None:
    """Ask again, with the same key, for every execution that was not answered."""
    acknowledged = {each.nonce for each in traffic.of("execute") if each.done}
    with traffic.client() as client:
        for allowed in traffic.of("authorize"):
            if allowed.done and allowed.nonce not in acknowledged:
                again = traffic.execute(client, allowed.nonce, allowed.json["intent_id"])
                assert again.done, again


def check_answers(traffic: Traffic, name: str) -> None:
    """Refused as the table says, in time, in the one shape of errors."""
    for each in traffic.came:
        assert each.took_s < DEADLINE_S, each
        if not each.done:
            assert each.kind in REFUSED_AS[name].get(each.code, ()), each
        if not each.done and each.code != "cut":
            assert each.json.get("jsonrpc") or each.json["correlation_id"], each
            assert each.status == (200 if each.kind == "mcp" else 503), each


def check_upstream(drill: Drill, traffic: Traffic) -> None:
    """Done is once, refused is never, cut off is at most once."""
    for each in traffic.of("free", *PAID):
        reached = drill.upstream.came[each.nonce]
        allowed = {"": (1,), "cut": (0, 1)}.get(each.code, (0,))
        assert reached in allowed, (each, reached)


def check_money(drill: Drill, traffic: Traffic) -> None:
    """Every hold is settled, and by the one execution that was acknowledged."""
    decided = {each.decision_id for each in traffic.of(*PAID) if each.decision_id}
    wait_for(lambda: not placed(drill, decided), RECOVERY_S, "every hold settled")
    found = dict(rows_of(drill.ready, HOLDS))
    for each in traffic.of(*PAID):
        if each.decision_id:
            assert found.get(each.decision_id, "never") in (
                {"captured"} if each.done else {"never", "voided"}
            ), each
    executions = dict(rows_of(drill.ready, EXECUTIONS, traffic.workflow_id))
    intents = [each.json["intent_id"] for each in traffic.of("authorize") if each.done]
    assert all(executions[intent] == 1 for intent in intents)
    assert rows_of(drill.ready, POSTED_TWICE) == []


def placed(drill: Drill, decided: set[str]) -> list[str]:
    return [
        intent for intent, status in rows_of(drill.ready, HOLDS) if status == "placed" and intent in decided
    ]


HOLDS = """
SELECT a.intent_id::text, h.status::text
FROM treasury.holds AS h
INNER JOIN treasury.authorizations AS a ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
"""
EXECUTIONS = """
SELECT a.intent_id::text, count(*)
FROM treasury.executions AS e
INNER JOIN treasury.authorizations AS a ON a.tenant_id = e.tenant_id AND a.id = e.authorization_id
WHERE e.workflow_id = $1::uuid
GROUP BY 1
"""
POSTED_TWICE = """
SELECT authorization_id, count(*) FROM treasury.journal_entries GROUP BY 1 HAVING count(*) > 1
"""
RECORDED = "SELECT decision_id FROM control.decisions"
OUTCOMES = "SELECT decision_id FROM control.outcomes"
TWICE = """
SELECT event_type, event -> 'payload' ->> 'decision_id'
FROM control.events WHERE event_type LIKE 'gateway.%' GROUP BY 1, 2 HAVING count(*) > 1
"""
UNTOLD = "SELECT count(*) FROM treasury.outbox WHERE published_at IS NULL"


def check_record(drill: Drill, traffic: Traffic) -> None:
    """Every decision that a caller was told of is in the record once, and every event is told."""
    told = {each.decision_id for each in traffic.came if each.decision_id}
    assert told
    wait_for(lambda: told <= recorded(drill, RECORDED), RECOVERY_S, "every decision on record")
    forwarded = {each.decision_id for each in traffic.of("free", *PAID) if each.done}
    wait_for(lambda: forwarded <= recorded(drill, OUTCOMES), RECOVERY_S, "every outcome on record")
    assert rows_of(drill.ready, TWICE) == []
    wait_for(lambda: rows_of(drill.ready, UNTOLD) == [(0,)], RECOVERY_S, "every event told")


def recorded(drill: Drill, query: str) -> set[str]:
    return {decision_id for (decision_id,) in rows_of(drill.ready, query)}


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
def test_a_gateway_killed_within_a_paid_call_leaves_its_hold_unknown(whole: Drill) -> None:
    nonce = new_id()
    ended: list[Any] = []

    def call() -> None:
        headers = {"Authorization": f"Bearer {whole.ready['agents']['scout']}"}
        with pytest.raises(httpx.TransportError):
            httpx.post(whole.ready["gateway"] + "/tools/shop/hang", json={"n": nonce}, headers=headers)
        ended.append(nonce)

    before = {hold["id"] for hold in unknown(whole)}
    caller = threading.Thread(target=call)
    caller.start()
    wait_for(lambda: whole.upstream.came[nonce] == 1, 5.0, "the call upstream")
    kill(whole, "gateway")
    caller.join()
    assert ended == [nonce]
    wait_for(lambda: works(whole, "gateway"), 20.0, "the gateway")
    wait_for(lambda: len({hold["id"] for hold in unknown(whole)} - before) == 1, 10.0, "the unknown hold")
    assert whole.upstream.came[nonce] == 1


def unknown(drill: Drill) -> list[dict[str, Any]]:
    with contextlib.suppress(httpx.TransportError):
        answer = drill.client.get("/api/treasury/holds?status=unknown&limit=200")
        if answer.status_code == 200:
            items: list[dict[str, Any]] = answer.json()["items"]
            return items
    return []


@pytest.mark.requirement("GW-19")
def test_a_policy_engine_that_hangs_refuses_within_the_deadline(whole: Drill) -> None:
    pid = pid_of(whole, "opa")
    reached = whole.upstream.requests
    os.kill(pid, signal.SIGSTOP)
    try:
        for method, path, body in (
            ("GET", "/tools/shop/free", None),
            ("POST", "/tools/shop/paid", {}),
            ("POST", "/api/treasury/authorize", order()),
        ):
            began_s = time.monotonic()
            answer = whole.client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "policy_unavailable")
            assert answer.headers["retry-after"]
            assert time.monotonic() - began_s < HUNG_S
    finally:
        os.kill(pid, signal.SIGCONT)
    assert whole.upstream.requests == reached
    wait_for(lambda: whole.client.get("/tools/shop/free").status_code == 200, 10.0, "calls")


def order() -> dict[str, Any]:
    return {"workflow_id": new_id(), "amount_cents": 3, "purpose": "api_call", "payee": "vendor-1"}


@pytest.mark.requirement("GW-19")
@pytest.mark.requirement("GW-10")
def test_a_treasury_that_hangs_refuses_what_costs_and_keeps_no_money(whole: Drill) -> None:
    pid = pid_of(whole, "treasury")
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = whole.client.post("/tools/shop/paid", json={"n": "hung"})
        assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
        assert whole.client.get("/tools/shop/free").status_code == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    decision_id = answer.headers["x-decision-id"]
    wait_for(lambda: works(whole, "treasury"), 10.0, "the treasury")
    wait_for(lambda: burnt(whole, decision_id), 10.0, "the withdrawal")
    assert dict(rows_of(whole.ready, HOLDS)).get(decision_id, "never") in {"never", "voided"}
    assert whole.upstream.came["hung"] == 0


def burnt(drill: Drill, decision_id: str) -> bool:
    """Whether the key of this hold is used up and its money, if there was any, is free."""
    keys = {key for (key,) in rows_of(drill.ready, "SELECT key FROM treasury.idempotency")}
    return f"gateway:{decision_id}" in keys and not placed(drill, {decision_id})


@pytest.mark.requirement("GW-19")
def test_a_database_that_hangs_holds_nobody_up(whole: Drill) -> None:
    pid = pid_of(whole, "postgres")
    stopped = [pid, *children(pid)]
    for each in stopped:
        os.kill(each, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        answer = whole.client.post("/tools/shop/paid", json={"n": "database"})
        assert (answer.status_code, answer.json()["code"]) == (503, "treasury_unavailable")
        assert time.monotonic() - began_s < HUNG_S
        assert whole.client.get("/tools/shop/free").status_code == 200
    finally:
        for each in stopped:
            os.kill(each, signal.SIGCONT)
    decision_id = answer.headers["x-decision-id"]
    wait_for(lambda: burnt(whole, decision_id), 15.0, "the withdrawal")
    assert whole.upstream.came["database"] == 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
