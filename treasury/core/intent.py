"""A declared spend, and how far it has come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from schemas.warrant import intent_sha256
from treasury.core.lifecycle import lifecycle
from treasury.core.money import Money

INTENT: Final = lifecycle(
    "intent",
    born="intent_created pending authorized denied",
    intent_created="pending authorized denied",
    pending="authorized denied expired voided",
    authorized="executed voided expired",
    denied="pending authorized",
    expired="pending authorized denied",
    voided="pending authorized denied",
)

FOLLOWS: Final = {
    "pending": "pending",
    "approved": "authorized",
    "denied": "denied",
    "expired": "expired",
    "voided": "voided",
    "executed": "executed",
}
"""The state of an intent whose latest authorization is in that state."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wants to spend, as declared. `principal` is the agent."""

    tenant: str
    id: UUID
    workflow_id: UUID
    money: Money
    purpose: str
    payee: str
    principal: str
    policy_version: str | None
    status: str = "intent_created"
    created_at: datetime | None = None

    def sha256(self) -> str:
        """The digest that a warrant for this intent must carry."""
        return intent_sha256(
            self.tenant,
            str(self.id),
            str(self.workflow_id),
            self.money.amount_cents,
            self.money.currency,
            self.purpose,
            self.payee,
        )

    def told(self) -> dict[str, Any]:
        """What every event about this intent says of it."""
        return {
            "intent_id": str(self.id),
            "amount_cents": self.money.amount_cents,
            "currency": self.money.currency,
            "purpose": self.purpose,
            "payee": self.payee,
            "principal": self.principal,
        }
