"""What of the event stream policy is asked about: refusals, and outcomes that nobody knows.

A call that was allowed and did not fail for policy's sake shows nothing by itself, and neither does what the
ledger did for it: such events are passed over, so that a clean flow costs policy nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.codes import STATUS
from schemas.events.registry import Event

_FORBIDDEN: Final = 403
HOLD_UNKNOWN: Final = "treasury.hold_unknown"


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that was refused: by policy before it went on, or by the ledger when it was passed on."""

    decision_id: str
    agent: str
    action: str
    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    """An event with what was counted or looked up for it; `facts` are what Rego reads as `input.facts`."""

    event: Event
    facts: Mapping[str, Any]


def is_suspect(event: Event) -> bool:
    """Whether policy has to look at it."""
    return event["event_type"] == HOLD_UNKNOWN or is_refusal(event)


def is_refusal(event: Event) -> bool:
    """Whether it tells of a call that was refused."""
    payload = event["payload"]
    if event["event_type"] == "gateway.decided":
        return not payload["allow"]
    if event["event_type"] == "gateway.completed":
        return payload["outcome"] == "failed" and STATUS.get(payload.get("code") or "") == _FORBIDDEN
    return False


def refused_call(event: Event, decisions: Mapping[tuple[str, str], tuple[str, str]]) -> RefusedCall:
    """The call that a refusal tells of.

    `decisions` has agent and action of the decisions that outcomes belong to, by tenant and decision's id;
    raises `LookupError` for one that is not there.
    """
    payload = event["payload"]
    decision_id: str = payload["decision_id"]
    if event["event_type"] == "gateway.decided":
        agent, action = payload["principal"]["id"], payload["action"]["name"]
        code = payload["reasons"][0]["code"] if payload["reasons"] else ""
    else:
        known = decisions.get((event["tenant"], decision_id))
        if known is None:
            raise LookupError(f"the decision {decision_id} is not on record")
        (agent, action), code = known, payload["code"]
    return RefusedCall(decision_id, agent, action, code, datetime.fromisoformat(payload["at"]))
