"""/v1/cases: what policy found in the events, to be read, assigned and resolved by the tenant's operators."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from control.access import Caller, InHouse
from control.answers import ERRORS, ErrorAnswer
from control.bodies import Body, StrictRoute
from control.case_store import CaseFilter, Resolution
from control.errors import Refusal
from control.events import Event
from control.pages import CURSOR_CHARS_MAX, page, read_cursor

router = APIRouter(
    prefix="/v1/cases",
    tags=["cases"],
    route_class=StrictRoute,
    responses=ERRORS | {status: {"model": ErrorAnswer} for status in (409, 413)},
)

Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]
Word = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
]
Said = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000, pattern=r"^[^\x00]*$")]


class Wanted(BaseModel):
    """Which cases, newest first. A case is of a workflow where any of its evidence is."""

    model_config = ConfigDict(extra="forbid")

    workflow_id: Text | None = None
    status: Literal["open", "assigned", "resolved"] | None = None
    agent: Text | None = None
    kind: Text | None = None
    limit: int = Field(default=50, ge=1)
    cursor: str | None = Field(default=None, max_length=CURSOR_CHARS_MAX)


class Case(BaseModel):
    """A violation; `subject` is what it is about. One is open for each kind and subject at most."""

    id: UUID
    kind: str
    subject: str
    agent: str
    workflow_id: str
    message: str
    status: Literal["open", "assigned", "resolved"]
    opened_at: str
    assigned_to: str | None
    resolution: str | None
    note: str | None
    resolved_by: str | None
    resolved_at: str | None


class CaseWithEvidence(Case):
    """A case with the events that show it, in the order of their recording."""

    evidence: list[Event]


class Cases(BaseModel):
    """One page of cases."""

    items: list[Case]
    next_cursor: str | None


class Assignment(Body):
    """Whom a case is given to."""

    operator: Text


class Resolving(Body):
    """How a case ends: the resolution in a word or two, the note for whoever reads it later."""

    resolution: Word
    note: Said = ""


@router.get("", response_model=Cases)
async def list_cases(caller: Caller, house: InHouse, wanted: Annotated[Wanted, Query()]) -> Any:
    """The cases of the operator's tenant."""
    limit = min(wanted.limit, house.settings.page_items_max)
    found = await house.cases.listed(caller.tenant, _filter(wanted), limit)
    last = found[-1] if len(found) == limit else None
    return page(
        [case for _, case in found],
        None if last is None else (last[0].isoformat(), last[1]["id"]),
    )


@router.get("/{case_id}", response_model=CaseWithEvidence)
async def get_case(caller: Caller, house: InHouse, case_id: UUID) -> Any:
    """One case with its evidence; another tenant's is as unknown as none."""
    found = await house.cases.one(caller.tenant, case_id)
    if found is None:
        raise Refusal("not_found", "no such case")
    return found


@router.post("/{case_id}/assign", response_model=Case)
async def assign(caller: Caller, house: InHouse, case_id: UUID, body: Assignment) -> Any:
    """Give it to an operator of the tenant."""
    if not house.operators.has(caller.tenant, body.operator):
        raise Refusal("invalid", [{"loc": ["body", "operator"], "message": "no operator of this tenant"}])
    return await house.cases.assign(caller.tenant, case_id, body.operator)


@router.post("/{case_id}/resolve", response_model=Case)
async def resolve(request: Request, caller: Caller, house: InHouse, case_id: UUID, body: Resolving) -> Any:
    """Close it, with the operator's name."""
    word = Resolution(caller.id, body.resolution, body.note, request.state.correlation_id)
    return await house.cases.resolve(caller.tenant, case_id, word)


def _filter(wanted: Wanted) -> CaseFilter:
    before = None
    if wanted.cursor is not None:
        at, case_id = read_cursor(wanted.cursor, str, str)
        try:
            before = datetime.fromisoformat(at), UUID(case_id)
        except ValueError:
            fault = {"loc": ["query", "cursor"], "message": "not a cursor of this list"}
            raise Refusal("invalid", [fault]) from None
    return CaseFilter(**wanted.model_dump(exclude={"limit", "cursor"}), before=before)
