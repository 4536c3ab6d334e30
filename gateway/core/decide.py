"""The question to policy and the reading of its answer.

Only a decision whose `allow` is the JSON literal `true` allows. Undefined, null, 1, "true", an object,
a missing or malformed member: all of these refuse.
"""

from dataclasses import dataclass
from typing import Any

from gateway.core.classify import Call
from gateway.core.identify import Principal


@dataclass(frozen=True, slots=True)
class Spend:
    """What a call may cost, and the price rule that says so (None for a declared spend)."""

    amount_cents: int
    currency: str
    purpose: str
    payee: str = ""
    price: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Policy's answer, checked. `reasons` is never empty when `allow` is false."""

    allow: bool
    reasons: tuple[dict[str, Any], ...]
    obligations: dict[str, Any]
    version: str
    revision: str


def document(call: Call, principal: Principal, spend: Spend | None, at: str) -> dict[str, Any]:
    """The input document (`schemas.decision.DecisionInput`, version 1)."""
    return {
        "principal": {
            "id": principal.id,
            "role": principal.role,
            "tenant": principal.tenant,
            "user": principal.user,
            "method": principal.method,
        },
        "action": {"kind": call.kind, "name": call.name, "arguments": call.arguments},
        "resource": {
            "server": call.server,
            "host": call.host,
            "method": call.method,
            "path": call.path,
            "content": call.content,
        },
        "spend": spend
        and {
            "amount_cents": spend.amount_cents,
            "currency": spend.currency,
            "purpose": spend.purpose,
            "payee": spend.payee,
        },
        "context": {
            "workflow_id": call.workflow_id,
            "session_id": call.session_id,
            "at": at,
            "approval": None,
            "policy_version": call.policy_version,
        },
    }
