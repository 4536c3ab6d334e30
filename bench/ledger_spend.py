"""What is spent in the bench: a paid call of five cents, charged to one budget."""

import time
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from schemas.ids import new_id
from schemas.warrant import Warrant
from treasury.core.command import Asked, CaptureHold, Command
from treasury.core.command import Spend as SpendAct
from treasury.core.intent import Intent
from treasury.core.money import Money

TENANT: Final = "bench"
LIMIT_CENTS: Final = 10**12
HOT: Final = "role:executor"


@dataclass(frozen=True, slots=True)
class Spend:
    """One paid call: held, then captured."""

    workflow_id: str
    budget: str = HOT
    amount_cents: int = 5
    tenant: str = TENANT
    intent_id: str = field(default_factory=new_id)
    warrant_id: str = field(default_factory=new_id)
    decision_id: str = field(default_factory=new_id)

    def intent(self) -> Intent:
        """As the treasury knows it."""
        return Intent(
            self.tenant,
            UUID(self.intent_id),
            UUID(self.workflow_id),
            Money(self.amount_cents, "USD"),
            "tool_call",
            "bank",
            "scout",
            None,
        )

    def claims(self) -> dict[str, Any]:
        """What its warrant claims, beside what the signer adds."""
        return {
            "aud": "tollhouse-treasury",
            "tenant": self.tenant,
            "principal": "scout",
            "role": "executor",
            "act": "authorize",
            "intent_id": self.intent_id,
            "intent_sha256": self.intent().sha256(),
            "verdict": "approved",
            "reasons": [],
            "ceiling_cents": self.amount_cents,
            "currency": "USD",
            "budgets": [{"key": self.budget, "window": "day", "limit_cents": LIMIT_CENTS}],
            "unsettled": "unknown",
            "decision_id": self.decision_id,
            "policy": {"version": "1.0", "revision": "0" * 64},
        }

    def document(self) -> dict[str, Any]:
        """Its intent as it goes over HTTP."""
        return {
            "id": self.intent_id,
            "workflow_id": self.workflow_id,
            "amount_cents": self.amount_cents,
            "currency": "USD",
            "purpose": "tool_call",
            "payee": "bank",
            "policy_version": None,
        }

    def hold(self) -> Command:
        """The command that holds its money."""
        now_s = int(time.time())
        times = {"iss": "gateway", "jti": self.warrant_id, "iat": now_s, "exp": now_s + 60}
        warrant = Warrant.model_validate(self.claims() | times)
        return Command.of(_asked("/v1/spends"), SpendAct(warrant, self.intent()))

    def capture(self, hold_id: str) -> Command:
        """The command that captures it."""
        act = CaptureHold(UUID(hold_id), "tool:bank", self.amount_cents)
        return Command.of(_asked("/v1/holds/capture"), act)


def _asked(route: str) -> Asked:
    return Asked("gateway", TENANT, "scout", new_id(), route, new_id(), "0" * 64)
