"""Holding money for a paid call, and telling the treasury how the call ended.

A hold is asked for with a warrant, in one go with its intent, before anything is forwarded. It is placed as
`unsettled: unknown`: if this gateway dies before it can tell, the money stays held, since the tool may
have acted. Of a call that waits for a person nothing was forwarded, so the treasury lets its hold expire.

A hold that was asked for and not answered may have been placed. Nothing is forwarded under it, so it is
withdrawn: by the decision's id, which is the id of its intent and the key of its request.

What a metered call has used accrues under its hold while it runs, in parts that are numbered: the number is
in the key, so a part that is told again is charged once.

The keys of these requests begin with `gateway:`, which no agent's key does (`spend_requests`): an agent that
could take the key of a capture could keep its money.
"""

from typing import Any, Final

import structlog

from adapters.http1 import ConnectFailed
from gateway.core.hold import Intent, placing
from gateway.core.permit import Permit
from gateway.core.settle import Settlement, withdrawal
from gateway.core.usage import Part
from gateway.edge.treasury import Asker, Once, Treasury, unavailable
from gateway.edge.warrants import Signer
from gateway.errors import BadRequest, Denied, Refusal, Unavailable
from schemas.codes import STATUS
from schemas.ids import digest

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
        intent = Intent(permit.decision_id, call.workflow_id, spend, call.policy_version)
        claims = placing(intent, principal, permit.verdict, permit.decision_id, "unknown")
        document = intent.document()
        try:
            authorization = await self._treasury.write(
                Asker(principal.tenant, principal.id, call.correlation_id),
                "/v1/spends",
                {"intent": document, "warrant": self._signer.sign(claims)},
                Once(_key(permit.decision_id), digest(document)),
            )
            return held(authorization)
        except Unavailable as gone:
            if not isinstance(gone.__cause__, ConnectFailed):
                gone.withdrawal = withdrawal(permit)
            raise

    async def accrue(self, permit: Permit, part: Part) -> tuple[str, ...]:
        """Charge a part of what a metered call has used; answers which of its budgets are depleted.

        May be told twice. Raises `Unavailable` where the treasury could not be asked, its last word else.
        """
        call, principal, spend = permit.call, permit.principal, permit.spend
        if permit.hold_id is None or spend is None:
            raise ValueError("only a call with a hold accrues")
        asker = Asker(principal.tenant, principal.id, call.correlation_id)
        try:
            return await self._accrue(asker, permit.hold_id, spend.payee, part)
        except (BadRequest, Denied) as refusal:
            _refuse_in_flight(refusal)
            raise

    async def settle(self, due: Settlement) -> str | None:
        """Capture, void, mark unknown or withdraw; answers the journal entry of a capture.

        May be told twice. Raises `Unavailable` where the treasury could not be asked. What the treasury
        refuses for good raises its `BadRequest` or `Denied` and is not due any more: the hold, if it is open
        still, is then kept as unknown, for somebody to look at.
        """
        try:
            if due.act == "withdraw":
                await self._withdraw(due)
                return None
            for part in due.parts:
                await self._accrue(_asker(due), due.hold_id, due.recipient_account, part)
            return await self._tell(due, due.act, _key(due.hold_id, due.act))
        except (BadRequest, Denied) as refusal:
            _refuse_in_flight(refusal)
            _log_refused(due, due.act, refusal)
            if due.act in ("capture", "void") or due.parts:
                await self._keep_as_unknown(due)
            raise

    async def _keep_as_unknown(self, due: Settlement) -> None:
        try:
            await self._tell(due, "unknown", _key(due.hold_id, "unknown"))
        except (BadRequest, Denied) as refusal:
            _refuse_in_flight(refusal)
            _log_refused(due, "unknown", refusal)

    async def _withdraw(self, due: Settlement) -> None:
        """Void what an unanswered request may have placed.

        Its key is used up first: should the request still be on its way, it cannot be taken any more. Where
        the key was used before, the request was taken, and its intent tells the hold.
        """
        try:
            await self._tell(due, "void", _key(due.hold_id))
        except BadRequest as refusal:
            if refusal.code == "not_found":
                return
            if refusal.code != "idempotency_mismatch":
                raise
        intent = await self._treasury.read(_asker(due), f"/v1/intents/{due.hold_id}")
        hold_id = (intent.get("authorization") or {}).get("hold_id")
        if hold_id is not None:
            await self._tell(due._replace(hold_id=hold_id), "void", _key(hold_id, "void"))

    async def _accrue(self, asker: Asker, hold_id: str, account: str, part: Part) -> tuple[str, ...]:
        number, cents = part
        document = {"amount_cents": cents, "recipient_account": account}
        once = Once(_key(hold_id, "accrual", str(number)), digest(document))
        answer = await self._treasury.write(asker, f"/v1/holds/{hold_id}/accruals", document, once)
        match answer:
            case {"depleted": list(budgets)}:
                return tuple(str(budget) for budget in budgets)
        raise unavailable("the treasury's answer is not an accrual")

    async def _tell(self, due: Settlement, act: str, key: str) -> str | None:
        document: dict[str, Any] = {}
        if act == "capture":
            document = {"amount_cents": due.amount_cents, "recipient_account": due.recipient_account}
        target = f"/v1/holds/{due.hold_id}/{act}"
        answer = await self._treasury.write(_asker(due), target, document, Once(key, digest(document)))
        entry = answer.get("journal_entry_id")
        return str(entry) if entry else None


def _key(*parts: str) -> str:
    return ":".join(("gateway", *parts))


def _refuse_in_flight(refusal: Refusal) -> None:
    """A request that is still under way was not refused: it is asked again later."""
    if refusal.code == "idempotency_in_flight":
        raise unavailable("the treasury is still busy with this settlement") from refusal


def _log_refused(due: Settlement, act: str, refusal: Refusal) -> None:
    log.warning(
        "settlement_refused",
        hold_id=due.hold_id,
        act=act,
        code=refusal.code,
        detail=refusal.detail,
        correlation_id=due.correlation_id,
    )


def _asker(due: Settlement) -> Asker:
    return Asker(due.tenant, due.principal, due.correlation_id)


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
