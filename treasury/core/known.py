"""What the ledger knows that bears on one command, read after its workflow was locked."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from treasury.core.authorization import LIVE
from treasury.core.budget import BudgetId
from treasury.core.execution import HeldSpend
from treasury.core.intent import Intent
from treasury.core.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Held:
    """A hold with all that hangs on it; `charged` are the budgets that it was charged to."""

    hold_id: UUID
    authorization_id: UUID
    decision_id: str
    gateway: str
    spend: HeldSpend
    intent: Intent
    charged: tuple[BudgetId, ...] = ()

    def told(self) -> dict[str, Any]:
        """What every event about a hold says of it, beside its intent."""
        return {
            "authorization_id": str(self.authorization_id),
            "hold_id": str(self.hold_id),
            "decision_id": self.decision_id,
        }


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered to the key before, and to which request."""

    request_sha256: str
    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """Nothing of it is known for a command that names nothing the ledger has."""

    kept: KeptAnswer | None = None
    warrant_used: bool = False
    workflow: Workflow | None = None
    intent: Intent | None = None
    authorization_status: str | None = None
    held: Held | None = None

    @property
    def has_live_authorization(self) -> bool:
        """Whether the intent may not be authorized again."""
        return self.authorization_status in LIVE
