"""What must be held before a call goes on, and the words in which the treasury is asked.

Policy's decision carries `obligations.hold`: a ceiling, the budgets to charge with their limits, and
the price rule that it judged. The treasury knows no policy, so all of this travels in the warrant
(`schemas.warrant`), bound to one intent by its digest and good for one act.

A verdict becomes one of three stances: approved (hold and go on), pending (hold and wait for a
person), denied (keep the refusal; no money moves). A hold obligation that cannot be read, or that
differs from what the gateway priced, is an obligation unmet, and the call is refused.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from pydantic import ValidationError

from gateway.core.decide import Spend, Verdict
from gateway.core.identify import Principal
from gateway.errors import Denied
from schemas.decision import HoldObligation
from schemas.warrant import AUDIENCE, Act, intent_sha256
from schemas.warrant import Verdict as Stance

Unsettled = Literal["release", "unknown"]
_WORKFLOWS: Final = UUID("6f1c1f0e-8a53-5d5e-9d6e-2f7a1c0b4e11")


@dataclass(frozen=True, slots=True)
class Intent:
    """A declared spend: what a warrant is bound to."""

    id: str
    workflow_id: str
    spend: Spend
    policy_version: str | None = None

    def document(self) -> dict[str, Any]:
        """The intent as the treasury takes it."""
        return {
            "id": self.id,
            "workflow_id": self.workflow_id,
            "amount_cents": self.spend.amount_cents,
            "currency": self.spend.currency,
            "purpose": self.spend.purpose,
            "payee": self.spend.payee,
            "policy_version": self.policy_version,
        }

    def sha256(self, tenant: str) -> str:
        """The digest that binds a warrant to this intent."""
        spend = self.spend
        return intent_sha256(
            tenant, self.id, self.workflow_id, spend.amount_cents, spend.currency, spend.purpose, spend.payee
        )


def standing_workflow(principal: Principal) -> str:
    """The workflow of an agent that names none: always the same for one agent of one tenant."""
    return _standing_workflow(principal.tenant, principal.id)


@lru_cache(maxsize=4_096)
def _standing_workflow(tenant: str, agent: str) -> str:
    return str(uuid5(_WORKFLOWS, f"{tenant}\n{agent}"))


def stance(verdict: Verdict) -> Stance:
    """What the treasury is to be told: a refusal is pending only if a person's yes is all it lacks."""
    if verdict.allow:
        return "approved"
    asks = verdict.obligations.get("approval") or {}
    codes = {reason["code"] for reason in verdict.reasons}
    return "pending" if asks.get("role") and codes == {"approval_required"} else "denied"


def agrees(spend: Spend | None, verdict: Verdict) -> bool:
    """Whether policy judged by the very price rule that the gateway priced with.

    A refusal places no hold, so there is nothing to agree on, unless it is the price that was refused.
    """
    if stance(verdict) == "denied":
        return all(reason["code"] != "call_unpriceable" for reason in verdict.reasons)
    held = verdict.obligations.get("hold") or {}
    return held.get("price") == (spend.price if spend else None)


def charged_on_error(verdict: Verdict) -> bool:
    """Whether the tool's own error is paid for too."""
    return (verdict.obligations.get("hold") or {}).get("charged_on_error") is True


def placing(
    intent: Intent, principal: Principal, verdict: Verdict, decision_id: str, unsettled: Unsettled
) -> dict[str, Any]:
    """The claims that ask to authorize an intent: a hold with its budgets, or a refusal to keep.

    `unsettled` tells how the hold ends if nobody settles it. Raises `Denied` with `obligation_unmet`
    where money must be held and policy's obligation does not say how.
    """
    holding = stance(verdict)
    hold = {} if holding == "denied" else _hold(verdict, intent.spend)
    return _claims("authorize", intent, principal, verdict, decision_id) | {
        "verdict": holding,
        "reasons": verdict.reasons or (_granted(hold),),
        "ceiling_cents": hold.get("ceiling_cents", 0),
        "budgets": hold.get("budgets", ()),
        "approval_role": verdict.obligations["approval"]["role"] if holding == "pending" else None,
        "unsettled": unsettled,
    }


def executing(
    intent: Intent,
    principal: Principal,
    verdict: Verdict,
    decision_id: str,
    amount_cents: int,
    recipient_account: str,
) -> dict[str, Any]:
    """The claims that capture at most `amount_cents` of an authorized spend, to that account."""
    return _claims("execute", intent, principal, verdict, decision_id) | {
        "verdict": "approved",
        "ceiling_cents": amount_cents,
        "recipient_account": recipient_account,
    }


def voiding(intent: Intent, principal: Principal, verdict: Verdict, decision_id: str) -> dict[str, Any]:
    """The claims that release what is held for a spend."""
    return _claims("void", intent, principal, verdict, decision_id) | {"verdict": "approved"}


def _claims(
    act: Act, intent: Intent, principal: Principal, verdict: Verdict, decision_id: str
) -> dict[str, Any]:
    """What every warrant says (`schemas.warrant.Warrant`), without issuer, nonce and times."""
    return {
        "aud": AUDIENCE,
        "tenant": principal.tenant,
        "principal": principal.id,
        "role": principal.role,
        "act": act,
        "intent_id": intent.id,
        "intent_sha256": intent.sha256(principal.tenant),
        "reasons": verdict.reasons,
        "currency": intent.spend.currency,
        "decision_id": decision_id,
        "policy": {"version": verdict.version, "revision": verdict.revision},
    }


def _hold(verdict: Verdict, spend: Spend) -> dict[str, Any]:
    """The hold obligation, checked: its ceiling covers the spend, its budgets are complete."""
    try:
        asked = HoldObligation.model_validate(verdict.obligations.get("hold"))
    except ValidationError:
        raise unmet("the hold that policy asks for cannot be read") from None
    if asked.ceiling_cents < spend.amount_cents:
        raise unmet("the hold that policy asks for does not cover the spend")
    return asked.model_dump(include={"ceiling_cents", "budgets"})


def _granted(hold: dict[str, Any]) -> dict[str, Any]:
    """The reason that an approved spend is kept with: what it was found to be within."""
    if any(budget["window"] == "day" for budget in hold["budgets"]):
        return {"code": "within_daily_budget", "message": "the spend is within its daily budget"}
    return {"code": "allowed", "message": "policy allows the spend"}


def refuse_paid_call(authorization: dict[str, Any] | None) -> None:
    """Raise `Denied` where an agent would end the hold of a paid call, which its gateway alone settles.

    One that waits for a person was never sent, so its agent may give it up.
    """
    if authorization and (authorization["status"], authorization["unsettled"]) == ("approved", "unknown"):
        why = "the hold of a paid call is settled by its gateway alone"
        code = "no_authorization_record"
        raise Denied(code, why, reasons=({"code": code, "message": why},))


def unmet(why: str) -> Denied:
    """The refusal of a call whose obligation this gateway cannot meet."""
    return Denied("obligation_unmet", why, reasons=({"code": "obligation_unmet", "message": why},))
