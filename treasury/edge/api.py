"""The routes that move money: each a command of a gateway, done once."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from schemas.codes import error_body
from treasury.core.command import (
    Accrue,
    Act,
    Authorize,
    CaptureHold,
    Declare,
    Execute,
    MarkUnknown,
    Spend,
    Void,
    VoidHold,
)
from treasury.edge.answers import StrictRoute
from treasury.edge.bodies import (
    AccrualAnswer,
    AuthorizationAnswer,
    AuthorizationBody,
    CaptureBody,
    EmptyBody,
    ErrorAnswer,
    ExecutionAnswer,
    ExecutionBody,
    HoldEnded,
    IntentAnswer,
    IntentBody,
    SpendBody,
    VoidAnswer,
    VoidBody,
)
from treasury.edge.house import Writer, Writing

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (400, 401, 403, 404, 409, 413, 422, 503)
}

router = APIRouter(prefix="/v1", tags=["commands"], route_class=StrictRoute, responses=ERRORS)


@router.post("/intents", status_code=201, response_model=IntentAnswer)
async def create_intent(request: Request, body: IntentBody, writing: Writing) -> JSONResponse:
    """Declare a spend."""
    intent = body.intent(writing.asked.tenant, writing.asked.principal)
    return await _answered(request, writing, Declare(intent))


@router.post("/authorizations", response_model=AuthorizationAnswer)
async def authorize(request: Request, body: AuthorizationBody, writing: Writing) -> JSONResponse:
    """Authorize a declared spend with the gateway's warrant: approved, pending or denied."""
    return await _answered(request, writing, Authorize(writing.warrant(body.warrant), body.intent_id))


@router.post("/spends", response_model=AuthorizationAnswer)
async def spend(request: Request, body: SpendBody, writing: Writing) -> JSONResponse:
    """Declare a spend and authorize it in one go."""
    intent = body.intent.intent(writing.asked.tenant, writing.asked.principal)
    return await _answered(request, writing, Spend(writing.warrant(body.warrant), intent))


@router.post("/executions", response_model=ExecutionAnswer)
async def execute(request: Request, body: ExecutionBody, writing: Writing) -> JSONResponse:
    """Capture an authorized spend, whole or in part."""
    warrant = writing.warrant(body.warrant)
    act = Execute(warrant, body.intent_id, body.recipient_account, body.amount_cents)
    return await _answered(request, writing, act)


@router.post("/voids", response_model=VoidAnswer)
async def void(request: Request, body: VoidBody, writing: Writing) -> JSONResponse:
    """Release what is held for an intent."""
    return await _answered(request, writing, Void(writing.warrant(body.warrant), body.intent_id))


@router.post("/holds/{hold_id}/capture", response_model=ExecutionAnswer)
async def capture_hold(request: Request, hold_id: UUID, body: CaptureBody, writing: Writing) -> JSONResponse:
    """Settle a paid call under the warrant that placed its hold."""
    act = CaptureHold(hold_id, body.recipient_account, body.amount_cents)
    return await _answered(request, writing, act)


@router.post("/holds/{hold_id}/accruals", response_model=AccrualAnswer)
async def accrue(request: Request, hold_id: UUID, body: CaptureBody, writing: Writing) -> JSONResponse:
    """Capture what a metered call has used since the last time; the rest stays held."""
    act = Accrue(hold_id, body.recipient_account, body.amount_cents)
    return await _answered(request, writing, act)


@router.post("/holds/{hold_id}/void", response_model=HoldEnded)
async def void_hold(request: Request, hold_id: UUID, body: EmptyBody, writing: Writing) -> JSONResponse:
    """Release the hold of a paid call that certainly failed."""
    return await _answered(request, writing, VoidHold(hold_id))


@router.post("/holds/{hold_id}/unknown", response_model=HoldEnded)
async def mark_unknown(request: Request, hold_id: UUID, body: EmptyBody, writing: Writing) -> JSONResponse:
    """Keep the hold of a paid call whose outcome nobody knows."""
    return await _answered(request, writing, MarkUnknown(hold_id))


async def _answered(request: Request, writing: Writer, act: Act) -> JSONResponse:
    answer = await writing.do(act)
    body = answer.body
    if answer.status >= 400:
        body = error_body(body["code"], body["detail"], request.state.correlation_id)
    return JSONResponse(body, answer.status)
