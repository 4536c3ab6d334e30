"""What must be so after a drill: what was acknowledged is in the books once, and nothing else is."""

import asyncio
from collections import defaultdict
from typing import Any, Final

from tests.faults.crowd import Crowd, Paid
from tests.faults.house import House
from tests.faults.length import TIMEOUT_S
from tests.fixtures.bus import told

EXECUTIONS: Final = """
SELECT e.id::text, a.intent_id::text, e.amount_cents
FROM treasury.executions AS e
INNER JOIN treasury.authorizations AS a ON a.tenant_id = e.tenant_id AND a.id = e.authorization_id
"""
HOLDS: Final = """
SELECT a.intent_id::text, h.status::text
FROM treasury.holds AS h
INNER JOIN treasury.authorizations AS a ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
"""
POSTED: Final = """
SELECT direction::text, sum(amount_cents)::bigint AS cents, count(*)
FROM treasury.postings GROUP BY direction
"""
BUDGETS: Final = "SELECT held_cents, captured_cents FROM treasury.budgets"
UNTOLD: Final = "SELECT count(*) FROM treasury.outbox WHERE published_at IS NULL"
OUTBOX: Final = "SELECT event_id::text, workflow_id::text FROM treasury.outbox ORDER BY recorded_at, ordinal"


async def check_all(house: House, crowd: Crowd) -> None:
    """The crowd is at rest, and the books say what it was told: no more and no less."""
    assert await house.differences() == []
    assert {row[0]: Paid(row[1], row[2]) for row in await house.rows(EXECUTIONS)} == crowd.paid
    holds = await house.rows(HOLDS)
    assert len(holds) == len(crowd.ends), "a spend is held once"
    assert {row[0]: row[1] for row in holds} == crowd.ends
    cents = sum(paid.amount_cents for paid in crowd.paid.values())
    assert {row[0]: (row[1], row[2]) for row in await house.rows(POSTED)} == {
        direction: (cents, len(crowd.paid)) for direction in ("debit", "credit")
    }
    assert [tuple(row) for row in await house.rows(BUDGETS)] == [(0, cents)]


async def check_told(house: House) -> int:
    """Every event is in the stream, each workflow's in the order of their commits; how many events."""
    async with asyncio.timeout(TIMEOUT_S):
        while (await house.rows(UNTOLD))[0][0]:
            await asyncio.sleep(0.05)
    outbox = await house.rows(OUTBOX)
    committed: dict[str, list[str]] = defaultdict(list)
    for row in outbox:
        committed[row[1]].append(row[0])
    events = await told(house.bus, {row[0] for row in outbox}, TIMEOUT_S)
    assert _first_told(events) == committed
    return len(outbox)


def _first_told(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The ids by workflow, each where it came first."""
    order: dict[str, dict[str, None]] = defaultdict(dict)
    for event in events:
        order[event["workflow_id"]].setdefault(event["event_id"])
    return {workflow_id: list(ids) for workflow_id, ids in order.items()}
