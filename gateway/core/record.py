"""What goes on the journal: the records of `schemas.record`, as bytes.

A refusal is one record, `decided` with `allow: false`. A call that goes on has two: `decided` before anything
is forwarded, `completed` when its outcome is known.
"""

from typing import Any, Final, Literal, NamedTuple

from gateway.core.permit import Ending, Permit
from gateway.core.settle import Settlement
from gateway.errors import Refusal
from schemas.ids import canonical, digest

_COMMON: Final = ("decision_id", "tenant", "workflow_id", "correlation_id")


class Entry(NamedTuple):
    """One record of the journal. `due` is the settlement that the treasury has yet to hear, if there is one;
    `hold_id` names the hold whose earlier due is replaced by this one. `goes_on`: an outcome will follow."""

    decision_id: str
    event: Literal["decided", "completed"]
    record: bytes
    hold_id: str | None = None
    due: Settlement | None = None
    goes_on: bool = False


class Ended(NamedTuple):
    """How a forwarded call ended. `status` is the upstream's HTTP status, 0 without one."""

    outcome: Ending
    status: int
    code: str | None
    duration_ms: int
    journal_entry_id: str | None


def decided(permit: Permit, due: Settlement | None = None) -> Entry:
    """The record of a call that may go on; `due` is how its hold ends if nothing else is ever known."""
    verdict = permit.verdict
    entry = _entry(permit, "decided", _decided(permit, verdict.allow, verdict.reasons), due)
    return entry._replace(goes_on=True)


def refused(permit: Permit, refusal: Refusal, due: Settlement | None) -> Entry:
    """The record of a refusal, by policy or by anything before and after it.

    `due` is how the hold ends that the treasury placed, or may have placed, before the call was refused.
    """
    reasons = refusal.reasons or ({"code": refusal.code, "message": _message(refusal)},)
    return _entry(permit, "decided", _decided(permit, False, reasons), due)


def completed(permit: Permit, ended: Ended, at: str, due: Settlement | None) -> Entry:
    """The record of an outcome; `due` is what the treasury could not be told yet."""
    document = _common(permit, at) | {
        "outcome": ended.outcome,
        "status": ended.status,
        "code": ended.code,
        "duration_ms": ended.duration_ms,
        "hold_id": permit.hold_id,
        "journal_entry_id": ended.journal_entry_id,
    }
    return _entry(permit, "completed", document, due)


def event_of(document: dict[str, Any]) -> Literal["decided", "completed"]:
    """Which of the two a record is."""
    return "completed" if "outcome" in document else "decided"


def goes_on(document: dict[str, Any]) -> bool:
    """Whether a record is of a call that may go on, so that its outcome follows."""
    return document.get("allow") is True


def lost(decided: dict[str, Any], at: str) -> Entry:
    """The record of an outcome that nobody lived to write, from that of the decision."""
    return _without_outcome(decided, at, "unknown", "internal")


def never_sent(decided: dict[str, Any], at: str) -> Entry:
    """The record of a call that was refused after all, since that of its decision came too late."""
    return _without_outcome(decided, at, "failed", "journal_unavailable")


def _without_outcome(decided: dict[str, Any], at: str, outcome: Ending, code: str) -> Entry:
    document = {name: decided[name] for name in _COMMON} | {
        "at": at,
        "outcome": outcome,
        "status": 0,
        "code": code,
        "duration_ms": 0,
        "hold_id": decided["hold_id"],
        "journal_entry_id": None,
    }
    return Entry(decided["decision_id"], "completed", canonical(document))


def _entry(
    permit: Permit, event: Literal["decided", "completed"], document: dict[str, Any], due: Settlement | None
) -> Entry:
    return Entry(
        decision_id=permit.decision_id,
        event=event,
        record=canonical(document),
        hold_id=due.hold_id if due else permit.hold_id,
        due=due,
    )


def _common(permit: Permit, at: str) -> dict[str, Any]:
    return {
        "decision_id": permit.decision_id,
        "at": at,
        "tenant": permit.principal.tenant,
        "workflow_id": permit.call.workflow_id,
        "correlation_id": permit.call.correlation_id,
    }


def _decided(permit: Permit, allow: bool, reasons: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    call, principal, verdict, spend = permit.call, permit.principal, permit.verdict, permit.spend
    return _common(permit, permit.at) | {
        "principal": {
            "id": principal.id,
            "role": principal.role,
            "tenant": principal.tenant,
            "user": principal.user,
            "method": principal.method,
        },
        "action": {"kind": call.kind, "name": call.name},
        "resource": {
            "server": call.server,
            "host": call.host,
            "method": call.method,
            "path": call.path,
            "content": call.content,
        },
        "arguments_sha256": digest(call.arguments),
        "spend": spend
        and {
            "amount_cents": spend.amount_cents,
            "currency": spend.currency,
            "purpose": spend.purpose,
            "payee": spend.payee,
        },
        "allow": allow,
        "reasons": reasons,
        "obligations": verdict.obligations,
        "policy": {"version": verdict.version, "revision": verdict.revision},
        "hold_id": permit.hold_id,
    }


def _message(refusal: Refusal) -> str:
    return refusal.detail if isinstance(refusal.detail, str) else "the request is not valid"
