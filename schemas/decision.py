"""What is asked of policy, and what policy answers (version 1 of both).

The gateway builds the input as a plain dict on its hot path; these models are the contract that
tests hold it to, and the source of `decision_input.v1.json` (draft-07, used by `opa check --schema`).
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.currency import AMOUNT_CENTS_MAX

BUDGETS_MAX: Final = 32
"""Twice what a policy document can say of one spend: four windows for agent, role, workflow and tenant."""

Kind = Literal["tool_call", "tool_list", "spend", "llm", "egress", "task"]


class _Contract(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Principal(_Contract):
    """Who asks: known from a verified credential alone."""

    id: str
    role: str
    tenant: str
    user: str | None = None
    method: Literal["api_key", "jwt", "mtls"]


class Action(_Contract):
    """What is asked: `server.tool`, `server.METHOD /path`, or `treasury.` and what is asked of it."""

    kind: Kind
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Resource(_Contract):
    """Where it goes. `content` says how much of the body policy can see.

    none: there is no body; json: its members are in `arguments`; opaque: a body that nobody read.
    """

    server: str = ""
    host: str = ""
    method: str = ""
    path: str = ""
    content: Literal["none", "json", "opaque"] = "none"


class Spend(_Contract):
    """What it may cost, in minor units. Absent (null) for a call that is free."""

    amount_cents: int
    currency: str
    purpose: str
    payee: str = ""


class Context(_Contract):
    """Everything else that policy may look at. `at` is RFC 3339 in UTC."""

    workflow_id: str = ""
    session_id: str = ""
    at: str = ""
    approval: dict[str, Any] | None = None
    policy_version: str | None = None


class DecisionInput(_Contract):
    """The `input` document of `data.gateway.decision.decision`."""

    principal: Principal
    action: Action
    resource: Resource = Resource()
    spend: Spend | None = None
    context: Context = Context()


class Reason(_Contract):
    """Why: a code for machines, a message for people, the rule's name where a named rule decided."""

    code: str
    message: str
    rule: str | None = None


class Budget(_Contract):
    """One budget to charge: its key (`role:executor`), window and limit in minor units."""

    key: str = Field(min_length=1, max_length=200)
    window: Literal["hour", "day", "month", "lifetime"]
    limit_cents: int = Field(ge=0, le=AMOUNT_CENTS_MAX)


Budgets = Annotated[tuple[Budget, ...], Field(max_length=BUDGETS_MAX)]


class HoldObligation(_Contract):
    """Money must be held before the call goes on. `price` is the rule that the amount came from."""

    ceiling_cents: int
    budgets: Budgets = ()
    price: dict[str, Any] | None = None
    charged_on_error: bool = False


class ApprovalObligation(_Contract):
    """A person with this role must say yes; `rule` names the spend rule that asks for it."""

    role: str
    rule: str | None = None


class Obligations(_Contract):
    """What the gateway must do if it goes on. An empty object asks for nothing."""

    approval: ApprovalObligation | dict[str, Any] = Field(default_factory=dict)
    hold: HoldObligation | dict[str, Any] = Field(default_factory=dict)
    redact: tuple[str, ...] = ()
    rate_limit: dict[str, Any] = Field(default_factory=dict)


class PolicyRevision(_Contract):
    """Which policy decided: the document's version and the digest of everything that was loaded."""

    version: str
    revision: str


class Decision(_Contract):
    """The answer of policy. Only `allow` being the literal `true` allows.

    A decision that asks for an approval is `allow: false` with the reason `approval_required` and
    `obligations.approval`; its `obligations.hold` is what must be held while a person decides.
    """

    allow: bool
    reasons: tuple[Reason, ...]
    obligations: Obligations
    policy: PolicyRevision
