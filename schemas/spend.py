"""What an agent may ask of the treasury, and what it answers: bodies of `/api/treasury/*`.

The gateway reads the agent's body with the `…Request` models, judges it, and passes it to the treasury
together with a warrant (`schemas.warrant`).
"""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS


def _known_currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError(f"{code!r} is not an ISO 4217 currency")
    return code


AmountCents = Annotated[int, Field(strict=True, gt=0, le=AMOUNT_CENTS_MAX, description="minor units")]
Currency = Annotated[str, Field(min_length=3, max_length=3), AfterValidator(_known_currency)]
NO_NUL: Final = r"^[^\x00]*$"  # what PostgreSQL cannot hold in a text
Purpose = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NO_NUL)
]
Payee = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
PolicyVersion = Annotated[str, StringConstraints(max_length=100, pattern=NO_NUL)]
Account = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]*$")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IntentRequest(_Body):
    """Declare a spend before it is made."""

    workflow_id: UUID
    amount_cents: AmountCents
    currency: Currency
    purpose: Purpose
    payee: Payee = ""
    policy_version: PolicyVersion | None = None


class AuthorizeIntentRequest(_Body):
    """Ask for the permission to spend what an intent declared."""

    intent_id: UUID


class AuthorizeSpendRequest(_Body):
    """Declare a spend and ask for its permission in one go; currency defaults to the policy's."""

    amount_cents: AmountCents
    purpose: Purpose
    workflow_id: UUID
    policy_version: PolicyVersion | None = None
    currency: Currency | None = None
    payee: Payee = ""


class ExecuteRequest(_Body):
    """Capture an authorized spend, whole or in part, to an account."""

    intent_id: UUID
    recipient_account: Account
    amount_cents: AmountCents | None = None


class VoidRequest(_Body):
    """Release what is held for an intent."""

    intent_id: UUID


AuthorizationStatus = Literal["pending", "approved", "denied", "expired", "voided", "executed"]
HoldStatus = Literal["placed", "captured", "voided", "expired", "unknown"]


class Authorization(BaseModel):
    """The answer to an authorization request, and `GET /authorizations/{id}`."""

    approved: bool
    status: AuthorizationStatus
    reason: str
    reasons: list[dict[str, Any]]
    intent_id: UUID
    authorization_id: UUID
    ceiling_cents: int
    expires_at: str | None
    approval_id: UUID | None = None
    decision_id: str
    policy: dict[str, str]
