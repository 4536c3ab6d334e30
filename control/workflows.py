"""/v1/workflows: passed on to the treasury, which keeps workflows, with the operator's own key.

The treasury knows operators by the same keys, so it sees who asks and answers for the operator's tenant;
control adds no rights of its own.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from control.access import Caller, InHouse
from control.answers import ERRORS, ErrorAnswer
from control.bodies import StrictRoute
from control.treasury import Asked
from schemas.workflow import NewWorkflow, Workflow, Workflows, WorkflowStatus

router = APIRouter(
    prefix="/v1/workflows",
    tags=["workflows"],
    route_class=StrictRoute,
    responses=ERRORS | {status: {"model": ErrorAnswer} for status in (403, 409, 413)},
)

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern="^[!-~]+$")]


class Wanted(BaseModel):
    """Which workflows, by id."""

    model_config = ConfigDict(extra="forbid")

    status: WorkflowStatus | None = None
    limit: int = Field(default=50, ge=1)
    cursor: str | None = Field(default=None, max_length=2_000)


@router.post("", status_code=201, response_model=Workflow)
async def create(
    request: Request, caller: Caller, house: InHouse, body: NewWorkflow, key: Key = None
) -> JSONResponse:
    """Begin a workflow, with a budget for its whole life if one is given."""
    asked = Asked.of(request, "POST", "/v1/workflows", key)
    return await house.treasury.pass_on(asked, body.model_dump(mode="json"))


@router.get("", response_model=Workflows)
async def workflows(
    request: Request, caller: Caller, house: InHouse, wanted: Annotated[Wanted, Query()]
) -> JSONResponse:
    """The workflows of the operator's tenant."""
    query: dict[str, Any] = wanted.model_dump(exclude_none=True)
    query["limit"] = min(wanted.limit, house.settings.page_items_max)
    return await house.treasury.pass_on(Asked.of(request, "GET", "/v1/workflows"), query=query)


@router.get("/{workflow_id}", response_model=Workflow)
async def workflow(request: Request, caller: Caller, house: InHouse, workflow_id: UUID) -> JSONResponse:
    """One workflow."""
    return await house.treasury.pass_on(Asked.of(request, "GET", f"/v1/workflows/{workflow_id}"))


@router.post("/{workflow_id}/{move}", response_model=Workflow)
async def move(
    request: Request,
    caller: Caller,
    house: InHouse,
    workflow_id: UUID,
    move: Literal["suspend", "resume", "finish"],
    key: Key = None,
) -> JSONResponse:
    """Suspend, resume or finish it: halted, it spends nothing, and what it holds can still be settled."""
    asked = Asked.of(request, "POST", f"/v1/workflows/{workflow_id}/{move}", key)
    return await house.treasury.pass_on(asked)
