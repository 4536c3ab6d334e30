"""How a paid call's hold ends, told from how the call ended.

Success captures. A failure that is certain voids, unless the price says that the tool's own error is
charged. When the tool may have acted, the hold stays as `unknown` and is reconciled: it is never released
and never charged by guessing.
"""

from typing import Any, Literal, NamedTuple

from gateway.core.hold import charged_on_error
from gateway.core.permit import Ending, Permit

Act = Literal["capture", "void", "unknown", "withdraw"]


class Settlement(NamedTuple):
    """What the treasury is to be told of one hold; kept in the journal until it has heard.

    `amount_cents` and `recipient_account` are those of a capture. A withdrawal is of a hold that may or may
    not have been placed: its `hold_id` is the decision's id, by which the hold was asked for.
    """

    hold_id: str
    act: Act
    tenant: str
    principal: str
    correlation_id: str
    amount_cents: int
    recipient_account: str

    def document(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return self._asdict()


def settlement(permit: Permit, ending: Ending, status: int) -> Settlement:
    """The settlement of a permit that has a hold. `status` is the tool's HTTP status, 0 without an answer."""
    if permit.hold_id is None or permit.spend is None:
        raise ValueError("only a permit with a hold can be settled")
    return Settlement(
        hold_id=permit.hold_id,
        act=_act(ending, answered=status > 0, charged=charged_on_error(permit.verdict)),
        tenant=permit.principal.tenant,
        principal=permit.principal.id,
        correlation_id=permit.call.correlation_id,
        amount_cents=permit.spend.amount_cents,
        recipient_account=permit.spend.payee,
    )


def withdrawal(permit: "Permit") -> Settlement:
    """What is due of a permit whose hold was asked for and not answered: nothing was sent under it."""
    principal, call = permit.principal, permit.call
    return Settlement(
        permit.decision_id, "withdraw", principal.tenant, principal.id, call.correlation_id, 0, ""
    )


def _act(ending: Ending, *, answered: bool, charged: bool) -> Act:
    if ending == "unknown":
        return "unknown"
    if ending == "succeeded" or (answered and charged):
        return "capture"
    return "void"
