"""How a paid call's hold ends, told from how the call ended.

Success captures. A failure that is certain voids, unless the price says that the tool's own error is
charged. When the tool may have acted, the hold stays as `unknown` and is reconciled: it is never released
and never charged by guessing.

A metered call pays for its time, so what it used until it broke off is charged, and only what it may have
used beyond that is uncertain. Where its caller left or the gateway ended it, nothing is: the rest is free.
What accrued before a tool's own error stays charged; the rest is charged where the price says so.
"""

from typing import Any, Literal, NamedTuple

from gateway.core.hold import charged_on_error
from gateway.core.permit import Outcome, Permit
from gateway.core.usage import Part, Usage

Act = Literal["capture", "void", "unknown", "withdraw"]


class Settlement(NamedTuple):
    """What the treasury is to be told of one hold; kept in the journal until it has heard.

    `amount_cents` and `recipient_account` are those of a capture. A withdrawal is of a hold that may or may
    not have been placed: its `hold_id` is the decision's id, by which the hold was asked for. `parts` are the
    accruals of a metered call that come before the act.
    """

    hold_id: str
    act: Act
    tenant: str
    principal: str
    correlation_id: str
    amount_cents: int
    recipient_account: str
    parts: tuple[Part, ...] = ()

    def document(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return self._asdict()

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Settlement":
        """As it was kept; what an earlier version kept has no parts."""
        parts = tuple((number, cents) for number, cents in document.get("parts", ()))
        return cls(**{**document, "parts": parts})


def settlement(permit: Permit, outcome: Outcome) -> Settlement:
    """The settlement of a permit that has a hold, after a call that ended so."""
    if permit.hold_id is None or permit.spend is None:
        raise ValueError("only a permit with a hold can be settled")
    due = Settlement(
        hold_id=permit.hold_id,
        act=_act(outcome, charged=charged_on_error(permit.verdict)),
        tenant=permit.principal.tenant,
        principal=permit.principal.id,
        correlation_id=permit.call.correlation_id,
        amount_cents=permit.spend.amount_cents,
        recipient_account=permit.spend.payee,
    )
    return due if permit.usage is None else _metered(due, permit.usage, outcome)


def withdrawal(permit: "Permit") -> Settlement:
    """What is due of a permit whose hold was asked for and not answered: nothing was sent under it."""
    principal, call = permit.principal, permit.call
    return Settlement(
        permit.decision_id, "withdraw", principal.tenant, principal.id, call.correlation_id, 0, ""
    )


def _act(outcome: Outcome, *, charged: bool) -> Act:
    if outcome.kind == "unknown":
        return "unknown"
    if outcome.kind == "succeeded" or (outcome.status > 0 and charged):
        return "capture"
    return "void"


def _metered(due: Settlement, usage: Usage, outcome: Outcome) -> Settlement:
    """The same for a call that pays for what it used, once that is over."""
    if not usage.has_begun:
        return due._replace(act="void")
    if due.act == "unknown" and not outcome.stopped:
        return due._replace(parts=usage.all_parts())
    act: Act = "void" if due.act == "void" else "capture"
    return due._replace(act=act, amount_cents=usage.left_cents(), parts=usage.unheard())
