"""What the treasury is asked and answers over HTTP, as its OpenAPI document tells it."""

from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from schemas.spend import (
    Account,
    AmountCents,
    AuthorizationStatus,
    Currency,
    HoldStatus,
    Payee,
    PolicyVersion,
    Purpose,
)
from treasury.core.intent import Intent
from treasury.core.money import Money

WarrantText = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IntentBody(_Body):
    """A declared spend; the gateway chooses its id."""

    id: UUID
    workflow_id: UUID
    amount_cents: AmountCents
    currency: Currency
    purpose: Purpose
    payee: Payee = ""
    policy_version: PolicyVersion | None = None

    def intent(self, tenant: str, principal: str) -> Intent:
        """The intent, as the core knows it."""
        money = Money(self.amount_cents, self.currency)
        return Intent(
            tenant, self.id, self.workflow_id, money, self.purpose, self.payee, principal, self.policy_version
        )


class AuthorizationBody(_Body):
    """Authorize a declared intent."""

    intent_id: UUID
    warrant: WarrantText


class SpendBody(_Body):
    """Declare a spend and authorize it in one go."""

    intent: IntentBody
    warrant: WarrantText


class ExecutionBody(_Body):
    """Capture what is held for an intent: all that is left without `amount_cents`."""

    intent_id: UUID
    recipient_account: Account
    amount_cents: AmountCents | None = None
    warrant: WarrantText


class VoidBody(_Body):
    """Release what is held for an intent."""

    intent_id: UUID
    warrant: WarrantText


class CaptureBody(_Body):
    """Settle the hold of a paid call."""

    amount_cents: AmountCents
    recipient_account: Account


class EmptyBody(_Body):
    """An empty object."""


class AuthorizationAnswer(BaseModel):
    """An authorization with its hold; amounts in minor units.

    `unsettled` is what becomes of a hold that nobody ends: a spend's is released, a paid call's is unknown.
    """

    approved: bool
    status: AuthorizationStatus
    reason: str
    reasons: list[dict[str, Any]]
    intent_id: UUID
    authorization_id: UUID
    hold_id: UUID | None
    unsettled: Literal["release", "unknown"] | None
    ceiling_cents: int
    captured_cents: int
    currency: str
    expires_at: str | None
    decision_id: str
    policy: dict[str, str]


class IntentAnswer(BaseModel):
    """An intent with its latest authorization."""

    id: UUID
    status: str
    workflow_id: UUID
    amount_cents: int
    currency: str
    purpose: str
    payee: str
    principal: str
    policy_version: str | None
    created_at: str
    authorization: AuthorizationAnswer | None


class ExecutionAnswer(BaseModel):
    """What was captured and posted."""

    id: UUID
    status: Literal["executed"]
    intent_id: UUID
    authorization_id: UUID
    journal_entry_id: UUID
    amount_cents: int
    currency: str
    recipient_account: str
    executed_at: str


class AccrualAnswer(ExecutionAnswer):
    """The same of a metered call; `depleted` are the keys of its budgets that have nothing left: end it."""

    depleted: list[str]


class VoidAnswer(BaseModel):
    """What was released."""

    intent_id: UUID
    authorization_id: UUID
    status: Literal["voided"]


class HoldEnded(BaseModel):
    """How a hold stands now."""

    hold_id: UUID
    status: HoldStatus


class HoldAnswer(BaseModel):
    """A hold."""

    id: UUID
    status: HoldStatus
    intent_id: UUID
    authorization_id: UUID
    workflow_id: UUID
    principal: str
    amount_cents: int
    captured_cents: int
    currency: str
    placed_at: str
    expires_at: str


class BudgetAnswer(BaseModel):
    """One window of one budget."""

    key: str
    window: str
    window_start: str
    currency: str
    limit_cents: int
    held_cents: int
    captured_cents: int
    topped_up_cents: int
    remaining_cents: int


class PostingAnswer(BaseModel):
    """One side of a journal entry."""

    id: UUID
    journal_entry_id: UUID
    account: str
    direction: Literal["debit", "credit"]
    amount_cents: int
    currency: str
    workflow_id: UUID
    authorization_id: UUID
    at: str


class WorkflowBalance(BaseModel):
    """What a workflow moved and holds."""

    workflow_id: UUID
    debits_cents: int
    credits_cents: int
    balance_cents: int
    held_cents: int
    captured_cents: int


class AccountSums(BaseModel):
    """Debits and credits of one account in one currency."""

    account: str
    currency: str
    debits_cents: int
    credits_cents: int


class TrialBalance(BaseModel):
    """Debits and credits of every account."""

    items: list[AccountSums]
    debits_cents: int
    credits_cents: int
    balanced: bool


Item = TypeVar("Item")


class Listed(BaseModel, Generic[Item]):
    """A page of a list; `next_cursor` asks for the next one."""

    items: list[Item]
    next_cursor: str | None


class ErrorAnswer(BaseModel):
    """Every error: `code` is for machines, `detail` for people (a list with `loc` where it is 422)."""

    code: str
    detail: Any
    correlation_id: str
