"""What the gateway writes to its journal: one record before a call goes on, one after.

`decided` is durable before anything is forwarded; `completed` follows when the outcome is known. Both
carry the decision's id. Shipped to the event stream as `gateway.decided` and `gateway.completed`.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from schemas.decision import Reason

Outcome = Literal["refused", "succeeded", "failed", "unknown"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    decision_id: str
    at: str
    tenant: str
    workflow_id: str
    correlation_id: str


class Decided(_Record):
    """Who asked for what, and what was decided. `arguments_sha256` is `ids.digest(arguments)`."""

    principal: dict[str, Any]
    action: dict[str, str]
    resource: dict[str, str]
    arguments_sha256: str
    spend: dict[str, Any] | None
    allow: bool
    reasons: tuple[Reason, ...]
    obligations: dict[str, Any]
    policy: dict[str, str]
    approval_id: str | None = None
    hold_id: str | None = None


class Completed(_Record):
    """How it ended. `status` is the upstream's HTTP status, 0 when there was none."""

    outcome: Outcome
    status: int
    code: str | None = None
    duration_ms: int
    hold_id: str | None = None
    journal_entry_id: str | None = None
