"""Holding money for a paid call, and telling the treasury how the call ended.

A hold is asked for with a warrant, in one go with its intent, before anything is forwarded. It is placed as
`unsettled: unknown`: if this gateway dies before it can tell, the money stays held, since the tool may
have acted. Of a call that waits for a person nothing was forwarded, so the treasury lets its hold expire.
"""

from typing import Any, Final

import structlog

from gateway.core.hold import Intent, placing
from gateway.core.permit import Permit
from gateway.core.settle import Settlement
from gateway.edge.treasury import Asker, Once, Treasury, unavailable
from gateway.edge.warrants import Signer
from gateway.errors import BadRequest, Denied
from schemas.codes import STATUS
from schemas.ids import digest, new_id

log = structlog.get_logger(__name__)

_PENDING: Final = "a person has to approve this call first"


class Holds:
    """The treasury as the path of a call sees it: `hold` before, `settle` after."""

    def __init__(self, treasury: Treasury, signer: Signer) -> None:
        self._treasury = treasury
        self._signer = signer

    async def hold(self, permit: Permit) -> str:
        """Have the price of a judged call held; answers the hold's id.

        Raises `Denied` where a budget says no or a person has to be asked (`approval_required`, the money is
        held meanwhile), `Unavailable` where the treasury cannot be asked.
        """
        call, principal, spend = permit.call, permit.principal, permit.spend
        if spend is None:
            raise ValueError("only a call with a price can be held for")
        intent = Intent(new_id(), call.workflow_id, spend, call.policy_version)
        claims = placing(intent, principal, permit.verdict, permit.decision_id, "unknown")
        document = intent.document()
        authorization = await self._treasury.write(
            Asker(principal.tenant, principal.id, call.correlation_id),
            "/v1/spends",
            {"intent": document, "warrant": self._signer.sign(claims)},
            Once(permit.decision_id, digest(document)),
        )
        return held(authorization)

    async def settle(self, due: Settlement) -> str | None:
        """Capture, void or mark unknown; answers the journal entry of a capture.

        May be told twice. What the treasury refuses for good is logged and not due any more. Raises
        `Unavailable` where the treasury could not be asked.
        """
        document: dict[str, Any] = {}
        if due.act == "capture":
            document = {"amount_cents": due.amount_cents, "recipient_account": due.recipient_account}
        try:
            answer = await self._treasury.write(
                Asker(due.tenant, due.principal, due.correlation_id),
                f"/v1/holds/{due.hold_id}/{due.act}",
                document,
                Once(f"{due.hold_id}:{due.act}", digest(document)),
            )
        except (BadRequest, Denied) as refusal:
            if refusal.code == "idempotency_in_flight":
                raise unavailable("the treasury is still busy with this settlement") from refusal
            log.warning(
                "settlement_refused",
                hold_id=due.hold_id,
                act=due.act,
                code=refusal.code,
                detail=refusal.detail,
                correlation_id=due.correlation_id,
            )
            return None
        entry = answer.get("journal_entry_id")
        return str(entry) if entry else None


def held(authorization: dict[str, Any]) -> str:
    """The hold of an authorization that is approved; `Denied` for one that is not."""
    match authorization:
        case {"approved": True, "status": "approved", "hold_id": str(hold_id)}:
            return hold_id
        case {"status": "pending", "authorization_id": str(approval_id), "reasons": list(reasons)}:
            raise Denied("approval_required", _PENDING, reasons=tuple(reasons), approval_id=approval_id)
        case {"status": "denied", "reason": str(code), "reasons": list(reasons)}:
            code = code if STATUS.get(code) == 403 else "spend_not_allowed"
            raise Denied(code, _first_message(reasons), reasons=tuple(reasons))
    raise unavailable("the treasury's answer is not an authorization")


def _first_message(reasons: list[dict[str, Any]]) -> str:
    return str(reasons[0]["message"]) if reasons else "the treasury refused the spend"
