"""What the clock brings up is judged once the stream was read to its end."""

from collections.abc import Sequence
from typing import Any

import pytest

from control.compliance import Compliance, Limits
from control.evidence import Evidence
from control.store import Store
from control.watch import Watch
from schemas.events.registry import Event
from schemas.ids import new_id
from tests.fixtures.events import spend

pytestmark = pytest.mark.requirement("CMP-01")


class Known(Evidence):
    """Nothing is overdue; it is noted that somebody looked."""

    def __init__(self) -> None:
        self.looked = 0

    async def forget_refusals(self, older_than_s: int) -> None: ...

    async def overdue(self, age_s: int, limit: int) -> tuple[list[Any], list[tuple[str, str]]]:
        self.looked += 1
        return [], []


class Records(Store):
    """What was recorded."""

    def __init__(self) -> None:
        self.recorded: list[Event] = []

    async def record(self, events: Sequence[Event]) -> None:
        self.recorded += events


def compliance(store: Store, evidence: Evidence) -> Compliance:
    nobody: Any = None
    return Compliance(store, evidence, nobody, Limits(20, 60, 900, 1.0))


async def test_a_hold_is_not_judged_while_its_settlement_may_still_be_read() -> None:
    evidence, caught_up = Known(), False
    watch = Watch(evidence, compliance(Records(), evidence), 900, 60, lambda: caught_up)
    await watch.look()
    assert evidence.looked == 0
    caught_up = True
    await watch.look()
    assert evidence.looked == 1


async def test_what_settles_a_hold_is_on_record_before_the_clock_is_looked_at() -> None:
    """The recorder, which keeps every event, may be behind the reader that judges."""
    store, events = Records(), spend("acme", new_id())
    await compliance(store, Known()).handle(events)
    assert [each["event_type"] for each in store.recorded] == ["treasury.executed"]
