"""The warrant: the gateway's signed word to the treasury.

The treasury knows no policy. It moves or refuses money on the strength of a compact JWS
(`alg: Ed25519`, `typ: warrant+jwt`, `kid`: the gateway's key) whose claims are below. It checks the
signature against the pinned public half, the audience, the tenant, the times, that the nonce (`jti`)
was never used, and that `intent_sha256` is the digest of the very intent that it is asked to act on.

Budgets' limits travel here; their state lives in the treasury alone, so that two gateways cannot
overspend together.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.decision import Budgets, PolicyRevision, Reason
from schemas.ids import digest

AUDIENCE: Final = "tollhouse-treasury"
TYPE = "warrant+jwt"
ALGORITHM = "Ed25519"
LIFETIME_S = 60

Act = Literal["authorize", "execute", "void"]
Verdict = Literal["approved", "pending", "denied"]


class Warrant(BaseModel):
    """The claims.

    `act` names the one thing it is good for. `verdict` is what policy said: approved (hold and
    permit), pending (hold and wait for a person of `approval_role`), denied (keep the refusal; no
    money moves). `unsettled` tells how a hold ends that nobody settled in time: `release` for spends
    that the treasury itself would execute, `unknown` for paid calls whose upstream may have acted.
    `ceiling_cents` bounds what is authorized (a spend above it is denied) or what one execution captures;
    `recipient_account` is the one account that this execution may credit.
    `budgets` and `unsettled` matter to `authorize` alone; `execute` wants the verdict approved.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    iss: str = Field(description="the gateway's name, as the treasury pins it")
    aud: Literal["tollhouse-treasury"] = AUDIENCE
    jti: str = Field(description="nonce: UUIDv7, used once")
    iat: int = Field(description="seconds since the epoch")
    exp: int = Field(description="seconds since the epoch; at most LIFETIME_S after iat")
    tenant: str
    principal: str
    role: str
    act: Act
    intent_id: str
    intent_sha256: str
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    ceiling_cents: int = 0
    recipient_account: str | None = None
    currency: str
    budgets: Budgets = ()
    approval_role: str | None = None
    unsettled: Literal["release", "unknown"] = "release"
    decision_id: str
    policy: PolicyRevision


def intent_sha256(
    tenant: str,
    intent_id: str,
    workflow_id: str,
    amount_cents: int,
    currency: str,
    purpose: str,
    payee: str,
) -> str:
    """The digest that binds a warrant to one intent: both sides compute it from their own knowledge."""
    return digest(
        {
            "tenant": tenant,
            "intent_id": intent_id,
            "workflow_id": workflow_id,
            "amount_cents": amount_cents,
            "currency": currency,
            "purpose": purpose,
            "payee": payee,
        }
    )
