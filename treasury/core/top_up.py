"""A top-up: money that a provider says it received for a prepaid budget.

Stripe tells of one payment by several events. One type of event credits; the payment's own id makes sure that
it credits once, whatever the event's. What the money is for stands in the payment's metadata:
`tollhouse_budget`, and `tollhouse_tenant` where the provider may credit more than one tenant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from treasury.core.money import Money
from treasury.core.posting import OPERATING, JournalEntry
from treasury.errors import Refused

CREDITS: Final = "payment_intent.succeeded"
TENANT: Final = "tollhouse_tenant"
BUDGET: Final = "tollhouse_budget"
WINDOW: Final = "lifetime"
NAME_CHARS_MAX: Final = 200
_NAMESPACE: Final = UUID("6f2d0c3a-5a3e-5c55-9a43-0d7f2f0c9a11")


@dataclass(frozen=True, slots=True)
class TopUp:
    """What is credited: `event_id` and `reference` are the provider's ids of the event and of the payment."""

    provider: str
    event_id: str
    reference: str
    tenant: str
    budget_key: str
    money: Money

    @property
    def workflow_id(self) -> UUID:
        """The standing workflow of the budget, so that its events have one order."""
        return standing_workflow(self.tenant, self.budget_key)

    def entry(self) -> JournalEntry:
        """What is posted: the provider's money becomes ours to spend."""
        return JournalEntry(
            debited=OPERATING, credited=f"tollhouse:top-ups:{self.provider}", money=self.money
        )


def standing_workflow(tenant: str, budget_key: str) -> UUID:
    """The workflow that a budget's own events belong to: always the same one."""
    return uuid5(_NAMESPACE, f"{tenant}\n{budget_key}")


def read(provider: str, tenants: Sequence[str], event: Any) -> TopUp | None:
    """The top-up that an event tells of; None for an event of a type that credits nothing.

    Raises `Refused` (invalid) where one that credits does not say enough to be credited rightly.
    """
    document = _object(event, "body")
    if document.get("type") != CREDITS:
        return None
    paid = _object(_object(document.get("data"), "data").get("object"), "data", "object")
    metadata = _object(paid.get("metadata"), "data", "object", "metadata")
    only = tenants[0] if len(tenants) == 1 else None
    tenant = metadata.get(TENANT, only)
    if not isinstance(tenant, str) or tenant not in tenants:
        raise _fault("the provider may not credit this tenant", "data", "object", "metadata", TENANT)
    return TopUp(
        provider=provider,
        event_id=_name(document, "id"),
        reference=_name(paid, "id", "data", "object"),
        tenant=tenant,
        budget_key=_name(metadata, BUDGET, "data", "object", "metadata"),
        money=_money(paid),
    )


def _money(paid: Mapping[str, Any]) -> Money:
    try:
        return Money(paid.get("amount_received"), str(paid.get("currency")).upper())  # type: ignore[arg-type]
    except ValueError as error:
        raise _fault(str(error), "data", "object", "amount_received") from None


def _object(value: Any, *place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _fault("must be an object", *place)
    return value


def _name(document: Mapping[str, Any], member: str, *place: str) -> str:
    value = document.get(member)
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX:
        raise _fault(f"must be a text of 1 to {NAME_CHARS_MAX} characters", *place, member)
    return value


def _fault(message: str, *place: str) -> Refused:
    return Refused("invalid", [{"loc": ["body", *place], "message": message}])
