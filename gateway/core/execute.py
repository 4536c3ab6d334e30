"""Whether a declared spend can be executed now, told from what the treasury knows of it.

The treasury decides this once more, under lock, when it acts. Here it is told before policy is asked, so
that a spend that nobody authorized is called that, and not judged as if it were new.
"""

from typing import Any

from gateway.core.hold import Intent
from gateway.errors import BadRequest, Denied


def check_executable(intent: Intent, authorization: dict[str, Any] | None, amount_cents: int | None) -> int:
    """The amount to execute, by default all that was authorized.

    Raises `Denied` (no_authorization_record, spend_exceeds_ceiling) and `BadRequest`
    (authorization_not_approved). One that has ended is left to the treasury, since this may be the repetition
    of a request that it has answered.
    """
    if authorization is None or authorization["status"] == "denied":
        raise _denied("no_authorization_record", "nobody authorized this spend")
    if authorization["status"] == "pending":
        raise BadRequest(
            "authorization_not_approved",
            "a person has to approve this spend first",
            approval_id=authorization["authorization_id"],
        )
    ceiling_cents: int = authorization["ceiling_cents"]
    if amount_cents is not None and amount_cents > ceiling_cents:
        raise _denied("spend_exceeds_ceiling", f"at most {ceiling_cents} were authorized")
    return amount_cents or ceiling_cents or intent.spend.amount_cents


def _denied(code: str, why: str) -> Denied:
    return Denied(code, why, reasons=({"code": code, "message": why},))
