"""The question to policy and the reading of its answer.

Only a decision whose `allow` is the JSON literal `true` allows. Undefined, null, 1, "true", an object,
a missing or malformed member: all of these refuse.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson

from gateway.core.classify import Call
from gateway.core.identify import Principal
from gateway.errors import Denied, Unavailable
from schemas.codes import STATUS

OBLIGATIONS: Final = frozenset({"approval", "hold", "rate_limit", "redact"})
MET: Final = frozenset({"approval", "hold", "rate_limit"})


@dataclass(frozen=True, slots=True)
class Spend:
    """What a call may cost, and the price rule that says so (None for a declared spend)."""

    amount_cents: int
    currency: str
    purpose: str
    payee: str = ""
    price: dict[str, Any] | None = None


class Verdict(NamedTuple):
    """Policy's answer, checked. `reasons` is never empty when `allow` is false."""

    allow: bool
    reasons: tuple[dict[str, Any], ...]
    obligations: dict[str, Any]
    version: str
    revision: str


UNDECIDED: Final = Verdict(allow=False, reasons=(), obligations={}, version="", revision="")


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


def text(question: dict[str, Any]) -> bytes:
    """The input document as OPA compares it exactly: no fraction ends in a zero or has an exponent too.

    Two long fractions that do, OPA takes for equal when they are the same float.
    """
    return orjson.dumps(question, default=_number)


def read(decision: Any) -> Verdict:
    """Policy's answer to one question, checked member by member.

    Raises `Unavailable` (policy_unavailable) for an answer of any other shape: a policy that cannot be
    understood is as good as none.
    """
    if isinstance(decision, dict):
        allow, reasons = decision.get("allow"), decision.get("reasons")
        obligations, policy = decision.get("obligations"), decision.get("policy")
        if (
            isinstance(allow, bool)
            and isinstance(reasons, list)
            and (allow or reasons)
            and _are_reasons(reasons)
            and isinstance(obligations, dict)
            and _are_obligations(obligations)
            and isinstance(policy, dict)
            and isinstance(policy.get("version"), str)
            and isinstance(policy.get("revision"), str)
        ):
            return Verdict(allow, tuple(reasons), obligations, policy["version"], policy["revision"])
    raise Unavailable("policy_unavailable", "the policy's answer is not a decision", retry_after_s=1)


def require(verdict: Verdict) -> None:
    """Raises `Denied`, with the first reason's code, unless the call may go on as the gateway can let it."""
    if verdict.allow is not True:
        first = verdict.reasons[0]
        code = first["code"] if STATUS.get(first["code"]) == 403 else "tool_not_allowed"
        raise Denied(code, first["message"], reasons=verdict.reasons)
    for name, asked in verdict.obligations.items():
        if asked and (name not in MET or name == "approval"):
            why = f"policy asks for {name!r}, which this gateway cannot meet"
            raise Denied("obligation_unmet", why, reasons=({"code": "obligation_unmet", "message": why},))


def _number(value: Any) -> orjson.Fragment:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    digits, has_exponent, exponent = str(value).partition("E")
    whole, _, fraction = digits.partition(".")
    if has_exponent:
        return orjson.Fragment(f"{whole}{fraction}E{int(exponent) - len(fraction)}")
    fraction = fraction.rstrip("0")
    return orjson.Fragment(f"{whole}.{fraction}" if fraction else whole)


def _are_reasons(reasons: list[Any]) -> bool:
    return all(
        isinstance(reason, dict)
        and isinstance(reason.get("code"), str)
        and isinstance(reason.get("message"), str)
        for reason in reasons
    )


def _are_obligations(obligations: dict[str, Any]) -> bool:
    """`redact` is a list, all the others are objects; an empty one asks for nothing."""
    for name, asked in obligations.items():
        if not isinstance(asked, list if name == "redact" else dict) and name in OBLIGATIONS:
            return False
    return True
