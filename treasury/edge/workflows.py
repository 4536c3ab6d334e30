"""The routes of workflows: an operator creates them, suspends, resumes and finishes them, and reads them.

Each is a command done once, like those of a gateway. Asking for the state that a workflow has already is no
fault and tells no event; a finished one never spends again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib.resources import files
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse

from adapters.postgres import one
from adapters.queries import named
from schemas.codes import error_body
from schemas.events import registry
from schemas.ids import digest, new_id
from schemas.workflow import NewWorkflow, Workflow, Workflows, WorkflowStatus
from treasury.core.workflow import WORKFLOW
from treasury.edge.answers import StrictRoute
from treasury.edge.api import ERRORS
from treasury.edge.commit import Answer, Asked, Commit, fresh_id, instant, once
from treasury.edge.house import House, InHouse, Known, Paged
from treasury.edge.queries import SQL
from treasury.edge.reading import listed
from treasury.errors import NotAuthorized, Refused

_SQL: Final = named((files("treasury") / "sql" / "workflows.sql").read_text("utf-8"))
_TARGET: Final = {"suspend": "suspended", "resume": "active", "finish": "finished"}
_EVENT: Final = {"suspended": "suspended", "active": "resumed", "finished": "finished"}

Document = dict[str, Any]
Move = Literal["suspend", "resume", "finish"]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]

router = APIRouter(prefix="/v1/workflows", tags=["workflows"], route_class=StrictRoute, responses=ERRORS)


def _operator(request: Request, parts: InHouse, known: Known, idempotency_key: Key = None) -> Asked:
    """Only an operator may create or move a workflow."""
    if known.operator is None:
        raise NotAuthorized("token_invalid", "only an operator may change a workflow")
    return Asked(
        gateway="",
        tenant=known.tenant,
        principal=known.operator,
        correlation_id=request.state.correlation_id,
        command=request.url.path,
        key=idempotency_key or new_id(),
        request_sha256=digest({}),
    )


Operating = Annotated[Asked, Depends(_operator)]


@router.post("", status_code=201, response_model=Workflow)
async def create(request: Request, parts: InHouse, asked: Operating, body: NewWorkflow) -> JSONResponse:
    """Begin a workflow; a taken id is `duplicate`."""

    async def work(commit: Commit) -> Answer:
        budget = body.budget
        row = await commit.connection.fetchrow(
            _SQL.create_workflow,
            commit.tenant,
            body.id or fresh_id(),
            budget and budget.amount_cents,
            budget and budget.currency,
            asked.principal,
        )
        if row is None:
            raise Refused("duplicate", "there is a workflow of this id")
        payload = {"by": asked.principal, "budget": budget and budget.model_dump()}
        await _tell(commit, row["id"], "workflow.created", payload)
        return Answer(201, document(row))

    asked = replace(asked, request_sha256=digest(body.model_dump(mode="json")))
    return await _answered(request, parts, asked, work)


@router.post("/{workflow_id}/{move}", response_model=Workflow)
async def move(
    request: Request, parts: InHouse, asked: Operating, workflow_id: UUID, move: Move
) -> JSONResponse:
    """Suspend, resume or finish it."""

    async def work(commit: Commit) -> Answer:
        row = await commit.connection.fetchrow(_SQL.lock_known_workflow, commit.tenant, workflow_id)
        if row is None:
            raise Refused("not_found", "there is no such workflow")
        if row["status"] != _TARGET[move]:
            row = await _moved(commit, asked, row, _TARGET[move])
        return Answer(200, document(row))

    return await _answered(request, parts, asked, work)


@router.get("", response_model=Workflows)
async def workflows(
    parts: InHouse, known: Known, page: Paged, status: WorkflowStatus | None = None
) -> Document:
    """The tenant's workflows, by id; of an agent, those that it takes part in."""
    after = page.key(UUID)
    async with parts.database.session() as connection:
        rows = await connection.fetch(
            _SQL.list_workflows, known.tenant, known.principal, status, *after, page.limit + 1
        )
    return listed(rows, page, document, lambda row: [str(row["id"])])


@router.get("/{workflow_id}", response_model=Workflow)
async def workflow(parts: InHouse, known: Known, workflow_id: UUID) -> Document:
    """One workflow."""
    async with parts.database.session() as connection:
        row = await connection.fetchrow(_SQL.workflow, known.tenant, known.principal, workflow_id)
    if row is None:
        raise Refused("not_found", "there is no such workflow")
    return document(row)


def document(row: asyncpg.Record) -> Document:
    """A row as it is answered."""
    budget = {"amount_cents": row["budget_cents"], "currency": row["budget_currency"]}
    return {
        "id": str(row["id"]),
        "status": row["status"],
        "budget": budget if row["budget_cents"] is not None else None,
        "created_by": row["created_by"],
        "created_at": instant(row["created_at"]),
    }


async def _moved(commit: Commit, asked: Asked, row: asyncpg.Record, status: str) -> asyncpg.Record:
    was = row["status"]
    if was == "finished":
        raise Refused("workflow_finished", "the workflow is finished")
    WORKFLOW.step(was, status)
    commit.at = row["at"]
    moved = await one(commit.connection, _SQL.move_workflow, commit.tenant, row["id"], status)
    payload = {"by": asked.principal} | ({"was": was} if status == "finished" else {})
    await _tell(commit, row["id"], f"workflow.{_EVENT[status]}", payload)
    return moved


async def _tell(commit: Commit, workflow_id: UUID, event_type: str, payload: Document) -> None:
    event = registry.event(
        event_type,
        payload,
        tenant=commit.tenant,
        workflow_id=str(workflow_id),
        correlation_id=commit.correlation_id,
        occurred_at=instant(commit.at),
    )
    text = orjson.dumps(event).decode()
    await commit.connection.execute(SQL.insert_event, commit.tenant, event["event_id"], workflow_id, 1, text)


async def _answered(
    request: Request, parts: House, asked: Asked, work: Callable[[Commit], Awaitable[Answer]]
) -> JSONResponse:
    answer = await once(parts.database, asked, parts.settings.in_flight_wait_ms, work)
    body = answer.body
    if answer.status >= 400:
        body = error_body(body["code"], body["detail"], request.state.correlation_id)
    return JSONResponse(body, answer.status)
