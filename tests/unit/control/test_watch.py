"""What the clock brings up is judged once the stream was read to its end."""

from typing import Any

import pytest

from control.compliance import Compliance, Limits
from control.evidence import Evidence
from control.watch import Watch


class Known(Evidence):
    """Nothing is overdue; it is noted that somebody looked."""

    def __init__(self) -> None:
        self.looked = 0

    async def forget_refusals(self, older_than_s: int) -> None: ...

    async def overdue(self, age_s: int, limit: int) -> tuple[list[Any], list[tuple[str, str]]]:
        self.looked += 1
        return [], []


@pytest.mark.requirement("CMP-01")
async def test_a_hold_is_not_judged_while_its_settlement_may_still_be_read() -> None:
    nobody: Any = None
    evidence, caught_up = Known(), False
    watch = Watch(
        evidence, Compliance(evidence, nobody, Limits(20, 60, 900, 1.0)), 900, 60, lambda: caught_up
    )
    await watch.look()
    assert evidence.looked == 0
    caught_up = True
    await watch.look()
    assert evidence.looked == 1
