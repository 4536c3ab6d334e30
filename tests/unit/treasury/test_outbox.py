"""Events go out in waves: no workflow twice in one, each workflow in its order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury.edge.outbox import in_waves

pytestmark = [pytest.mark.requirement("TRE-17"), pytest.mark.requirement("EVT-03")]

WORKFLOWS = st.lists(st.tuples(st.sampled_from(["acme", "globex"]), st.sampled_from(["w", "x", "y"])))


@given(WORKFLOWS)
def test_waves_keep_every_event_and_each_workflows_order(of: list[tuple[str, str]]) -> None:
    events: list[dict[str, Any]] = [
        {"event_id": place, "tenant": tenant, "workflow_id": workflow}
        for place, (tenant, workflow) in enumerate(of)
    ]
    waves = in_waves(events)
    sent = [event for wave in waves for event in wave]
    assert sorted(event["event_id"] for event in sent) == list(range(len(events)))
    for wave in waves:
        workflows = [(event["tenant"], event["workflow_id"]) for event in wave]
        assert len(set(workflows)) == len(workflows) > 0
    for workflow in set(of):
        own = [event for event in sent if (event["tenant"], event["workflow_id"]) == workflow]
        assert own == sorted(own, key=lambda event: event["event_id"])
