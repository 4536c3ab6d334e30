"""How a hold ends: executed, captured, voided, unknown, or expired. Each is one commit."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from adapters.postgres import one
from schemas.warrant import Warrant
from treasury.core import budget as budget_rules
from treasury.core import warrant as word
from treasury.core.authorization import AUTHORIZATION, HOLD
from treasury.core.execution import (
    Capture,
    HeldSpend,
    ending,
    refuse_unless_open,
    refuse_unless_voidable,
    settle,
)
from treasury.core.execution import (
    execute as execute_held,
)
from treasury.core.intent import Intent
from treasury.core.money import Money
from treasury.core.posting import payment
from treasury.core.workflow import Workflow
from treasury.edge import budgets
from treasury.edge.authorizations import find_intent, move_intent
from treasury.edge.commit import Answer, Asked, Commit, fresh_id, instant
from treasury.edge.queries import SQL
from treasury.errors import Refused


@dataclass(frozen=True, slots=True)
class Held:
    """A hold with all that hangs on it."""

    hold_id: UUID
    authorization_id: UUID
    decision_id: str
    gateway: str
    spend: HeldSpend
    intent: Intent
    workflow: Workflow

    def told(self) -> dict[str, Any]:
        """What every event about a hold says of it, beside its intent."""
        return {
            "authorization_id": str(self.authorization_id),
            "hold_id": str(self.hold_id),
            "decision_id": self.decision_id,
        }


async def execute(
    commit: Commit,
    asked: Asked,
    warrant: Warrant,
    intent_id: UUID,
    recipient_account: str,
    amount_cents: int | None,
) -> Answer:
    """Capture an authorized spend, whole or in part, with a warrant for the execution."""
    await commit.use_warrant(warrant, asked, "execute")
    held = await _authorized(commit, warrant, intent_id)
    held.workflow.refuse_unless_active()
    if warrant.verdict != "approved":
        raise Refused(word.CODE, "policy does not allow this execution")
    capture = execute_held(held.spend, amount_cents, warrant.ceiling_cents, commit.at)
    return await _capture(commit, held, capture, recipient_account)


async def void(commit: Commit, asked: Asked, warrant: Warrant, intent_id: UUID) -> Answer:
    """Release what is held for an intent, with a warrant for it."""
    await commit.use_warrant(warrant, asked, "void")
    held = await _authorized(commit, warrant, intent_id)
    refuse_unless_voidable(held.spend)
    await _release(commit, held, "voided", "treasury.voided")
    body = {
        "intent_id": str(intent_id),
        "authorization_id": str(held.authorization_id),
        "status": "voided",
    }
    return Answer(200, body)


async def capture_hold(
    commit: Commit, asked: Asked, hold_id: UUID, recipient_account: str, amount_cents: int
) -> Answer:
    """Settle a paid call under the warrant that placed its hold; what is left becomes free."""
    held = await _own(commit, asked, hold_id)
    return await _capture(commit, held, settle(held.spend, amount_cents), recipient_account)


async def void_hold(commit: Commit, asked: Asked, hold_id: UUID) -> Answer:
    """The paid call certainly failed: its money is free again."""
    held = await _own(commit, asked, hold_id)
    refuse_unless_open(held.spend)
    await _release(commit, held, "voided", "treasury.voided")
    return Answer(200, {"hold_id": str(hold_id), "status": "voided"})


async def mark_unknown(commit: Commit, asked: Asked, hold_id: UUID) -> Answer:
    """The tool may have acted: the money stays held until somebody knows."""
    held = await _own(commit, asked, hold_id)
    refuse_unless_open(held.spend)
    if held.spend.hold_status != "unknown":
        await _keep_as_unknown(commit, held)
    return Answer(200, {"hold_id": str(hold_id), "status": "unknown"})


async def reconcile(commit: Commit, hold_id: UUID, amount_cents: int | None) -> None:
    """Settle a hold of unknown outcome as a provider's statement tells: captured, or with None voided."""
    held = await _load(commit, hold_id)
    if held.spend.hold_status != "unknown":
        raise Refused("duplicate", f"the hold is {held.spend.hold_status} already")
    if amount_cents is None:
        await _release(commit, held, "voided", "treasury.voided")
    else:
        await _capture(commit, held, settle(held.spend, amount_cents), held.intent.payee)


async def expire(commit: Commit, hold_id: UUID) -> None:
    """End a hold whose time is up, unless somebody settled it meanwhile."""
    held = await _load(commit, hold_id)
    if held.spend.hold_status != "placed":
        return
    hold_status, authorization_status = ending(held.spend)
    if authorization_status is None:
        await _keep_as_unknown(commit, held)
    else:
        await _release(commit, held, hold_status, "treasury.expired")


async def _authorized(commit: Commit, warrant: Warrant, intent_id: UUID) -> Held:
    """The hold of an intent's latest authorization, for a warrant that is good for the intent."""
    intent = await find_intent(commit, intent_id)
    word.check_intent(warrant, intent)
    await commit.lock_workflow(intent.workflow_id)
    row = await commit.connection.fetchrow(SQL.authorization_of_intent, commit.tenant, intent_id)
    if row is None or row["hold_id"] is None:
        raise Refused(word.CODE, "this intent has no authorization")
    return await _load(commit, row["hold_id"])


async def _own(commit: Commit, asked: Asked, hold_id: UUID) -> Held:
    """A hold that the asking gateway placed itself; another's is not there."""
    held = await _load(commit, hold_id)
    if held.gateway != asked.gateway:
        raise Refused("not_found", "there is no such hold")
    return held


async def _load(commit: Commit, hold_id: UUID) -> Held:
    """The hold, with its workflow locked."""
    workflow_id = await commit.connection.fetchval(SQL.workflow_of_hold, commit.tenant, hold_id)
    if workflow_id is None:
        raise Refused("not_found", "there is no such hold")
    workflow = await commit.lock_workflow(workflow_id)
    row = await one(commit.connection, SQL.hold, commit.tenant, hold_id)
    spend = HeldSpend(
        row["authorization_status"],
        row["status"],
        row["unsettled"],
        row["amount_cents"],
        row["captured_cents"],
        row["expires_at"],
    )
    intent = await find_intent(commit, row["intent_id"])
    return Held(hold_id, row["authorization_id"], row["decision_id"], row["gateway"], spend, intent, workflow)


async def _capture(commit: Commit, held: Held, capture: Capture, recipient_account: str) -> Answer:
    entry = payment(recipient_account, Money(capture.amount_cents, held.intent.money.currency))
    entry_id, execution_id = fresh_id(), fresh_id()
    states = await budgets.lock_charged(commit, held.hold_id)
    status = HOLD.step(held.spend.hold_status, "captured") if capture.closes else held.spend.hold_status
    executed_at = await commit.connection.fetchval(
        SQL.capture,
        commit.tenant,
        entry_id,
        held.intent.workflow_id,
        held.authorization_id,
        capture.amount_cents,
        entry.money.currency,
        fresh_id(),
        entry.debited,
        fresh_id(),
        entry.credited,
        execution_id,
        held.hold_id,
        status,
    )
    if capture.closes:
        await _move(commit, held, "executed")
    after = {
        budget: budget_rules.release(
            budget_rules.capture(state, capture.amount_cents), capture.released_cents
        )
        for budget, state in states.items()
    }
    await budgets.write(commit, after)
    document = {
        "id": str(execution_id),
        "status": "executed",
        "intent_id": str(held.intent.id),
        "authorization_id": str(held.authorization_id),
        "journal_entry_id": str(entry_id),
        "amount_cents": capture.amount_cents,
        "currency": entry.money.currency,
        "recipient_account": recipient_account,
        "executed_at": instant(executed_at),
    }
    told = {"execution_id": document["id"], "ceiling_cents": held.spend.amount_cents} | {
        name: document[name] for name in ("journal_entry_id", "recipient_account", "amount_cents")
    }
    await commit.tell("treasury.executed", held.intent, **held.told(), **told)
    return Answer(200, document)


async def _release(commit: Commit, held: Held, status: str, event_type: str) -> None:
    """What is still held becomes free; hold and authorization end alike."""
    left_cents = held.spend.left_cents()
    states = await budgets.lock_charged(commit, held.hold_id)
    await commit.connection.execute(
        SQL.change_hold, commit.tenant, held.hold_id, HOLD.step(held.spend.hold_status, status), 0
    )
    await _move(commit, held, status)
    after = {budget: budget_rules.release(state, left_cents) for budget, state in states.items()}
    await budgets.write(commit, after)
    await commit.tell(event_type, held.intent, **held.told(), amount_cents=left_cents)


async def _keep_as_unknown(commit: Commit, held: Held) -> None:
    status = HOLD.step(held.spend.hold_status, "unknown")
    await commit.connection.execute(SQL.change_hold, commit.tenant, held.hold_id, status, 0)
    await commit.tell(
        "treasury.hold_unknown", held.intent, **held.told(), amount_cents=held.spend.left_cents()
    )


async def _move(commit: Commit, held: Held, status: str) -> None:
    AUTHORIZATION.step(held.spend.authorization_status, status)
    await commit.connection.execute(SQL.move_authorization, commit.tenant, held.authorization_id, status)
    await move_intent(commit, held.intent, status)
