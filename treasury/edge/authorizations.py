"""Intents and their authorizations: what comes before any money moves."""

from typing import Any
from uuid import UUID

import orjson

from adapters.postgres import Connection, one
from schemas.warrant import Warrant
from treasury.core import warrant as word
from treasury.core.authorization import AUTHORIZATION, HOLD, Outcome, Request, Terms, charge_of, decide
from treasury.core.intent import FOLLOWS, INTENT, Intent
from treasury.core.lifecycle import UNBORN
from treasury.core.money import Money
from treasury.core.workflow import Workflow
from treasury.edge import budgets, documents
from treasury.edge.commit import Answer, Asked, Commit, fresh_id, instant
from treasury.edge.queries import SQL
from treasury.errors import NotAuthorized, Refused


async def create_intent(commit: Commit, intent: Intent) -> Answer:
    """Keep a declared spend; a taken id is `duplicate`."""
    await _declare(commit, intent)
    kept = await find_intent(commit, intent.id)
    return Answer(201, documents.intent(kept, None))


async def authorize(commit: Commit, asked: Asked, warrant: Warrant, intent_id: UUID, terms: Terms) -> Answer:
    """Authorize an intent that was declared before."""
    await commit.use_warrant(warrant, asked, "authorize")
    intent = await find_intent(commit, intent_id)
    word.check_intent(warrant, intent)
    workflow = await commit.lock_workflow(intent.workflow_id)
    return await _authorize(commit, asked, _request(workflow, warrant, intent), terms)


async def spend(commit: Commit, asked: Asked, warrant: Warrant, intent: Intent, terms: Terms) -> Answer:
    """Declare a spend and authorize it in the same commit."""
    await commit.use_warrant(warrant, asked, "authorize")
    word.check_intent(warrant, intent)
    workflow = await _declare(commit, intent)
    return await _authorize(commit, asked, _request(workflow, warrant, intent), terms)


async def find_intent(commit: Commit, intent_id: UUID) -> Intent:
    """The intent of a warrant, or `NotAuthorized`: for what is not there, nothing is authorized."""
    intent = await load_intent(commit.connection, commit.tenant, intent_id)
    if intent is None:
        raise NotAuthorized(word.CODE, "there is no such intent")
    return intent


async def load_intent(connection: Connection, tenant: str, intent_id: UUID) -> Intent | None:
    """One intent of a tenant."""
    row = await connection.fetchrow(SQL.intent, tenant, intent_id)
    if row is None:
        return None
    return Intent(
        tenant=tenant,
        id=row["id"],
        workflow_id=row["workflow_id"],
        money=Money(row["amount_cents"], row["currency"]),
        purpose=row["purpose"],
        payee=row["payee"],
        principal=row["principal"],
        policy_version=row["policy_version"],
        status=row["status"],
        created_at=row["created_at"],
    )


async def move_intent(commit: Commit, intent: Intent, authorization_status: str) -> None:
    """Bring an intent to where its authorization is."""
    status = INTENT.step(intent.status, FOLLOWS[authorization_status])
    await commit.connection.execute(SQL.move_intent, commit.tenant, intent.id, status)


def _request(workflow: Workflow, warrant: Warrant, intent: Intent) -> Request:
    """What is asked of an active workflow, within its own budget too."""
    workflow.refuse_unless_active()
    return Request(workflow.bound(warrant, intent.money.currency), intent)


async def _declare(commit: Commit, intent: Intent) -> Workflow:
    await commit.connection.execute(SQL.insert_workflow, commit.tenant, intent.workflow_id)
    workflow = await commit.lock_workflow(intent.workflow_id)
    workflow.refuse_unless_active()
    created = await commit.connection.fetchval(
        SQL.insert_intent,
        commit.tenant,
        intent.id,
        intent.workflow_id,
        intent.money.amount_cents,
        intent.money.currency,
        intent.purpose,
        intent.payee,
        intent.principal,
        intent.policy_version,
    )
    if created is None:
        raise Refused("duplicate", "this intent was declared before")
    await commit.tell("treasury.intent_created", intent, policy_version=intent.policy_version)
    return workflow


async def _authorize(commit: Commit, asked: Asked, request: Request, terms: Terms) -> Answer:
    if await commit.connection.fetchval(SQL.live_authorization, commit.tenant, request.intent.id):
        raise Refused("duplicate", "this intent has an authorization that lives")
    states = await budgets.lock(commit, charge_of(request, commit.at).limits)
    (outcome,), after = decide([request], states, terms, commit.at)
    authorization_id = fresh_id()
    await _insert(commit, request, outcome, authorization_id)
    hold_id = None
    if outcome.expires_at is not None:
        hold_id = await _hold(commit, asked, request, outcome, authorization_id)
    if after:
        await budgets.write(commit, after)
    await move_intent(commit, request.intent, outcome.status)
    await _tell(commit, request, outcome, authorization_id, hold_id)
    row = await one(commit.connection, SQL.authorization_by_id, commit.tenant, authorization_id)
    return Answer(200, documents.authorization(row))


async def _insert(commit: Commit, request: Request, outcome: Outcome, authorization_id: UUID) -> None:
    warrant, intent = request.warrant, request.intent
    await commit.connection.execute(
        SQL.insert_authorization,
        commit.tenant,
        authorization_id,
        intent.id,
        intent.workflow_id,
        warrant.jti,
        warrant.principal,
        warrant.role,
        AUTHORIZATION.step(UNBORN, outcome.status),
        orjson.dumps(outcome.reasons).decode(),
        outcome.ceiling_cents,
        intent.money.currency,
        warrant.decision_id,
        warrant.policy.version,
        warrant.policy.revision,
        warrant.approval_role,
    )


async def _hold(
    commit: Commit, asked: Asked, request: Request, outcome: Outcome, authorization_id: UUID
) -> UUID:
    HOLD.step(UNBORN, "placed")
    hold_id = fresh_id()
    intent = request.intent
    await commit.connection.execute(
        SQL.insert_hold,
        commit.tenant,
        hold_id,
        authorization_id,
        intent.workflow_id,
        intent.principal,
        asked.gateway,
        intent.money.amount_cents,
        intent.money.currency,
        request.warrant.unsettled,
        commit.at,
        outcome.expires_at,
    )
    await budgets.charge(commit, hold_id, outcome.charged)
    return hold_id


_EVENTS = {
    "approved": "treasury.authorized",
    "pending": "treasury.pending",
    "denied": "treasury.denied",
}


async def _tell(
    commit: Commit, request: Request, outcome: Outcome, authorization_id: UUID, hold_id: UUID | None
) -> None:
    warrant = request.warrant
    payload: dict[str, Any] = {
        "authorization_id": str(authorization_id),
        "decision_id": warrant.decision_id,
        "role": warrant.role,
        "reasons": list(outcome.reasons),
        "ceiling_cents": outcome.ceiling_cents,
        "policy": warrant.policy.model_dump(),
    }
    if outcome.expires_at is not None:
        payload |= {
            "hold_id": str(hold_id),
            "budgets": [budget.model_dump() for budget in warrant.budgets],
            "expires_at": instant(outcome.expires_at),
        }
    if outcome.status == "pending":
        payload["approval_role"] = warrant.approval_role
    await commit.tell(_EVENTS[outcome.status], request.intent, **payload)
