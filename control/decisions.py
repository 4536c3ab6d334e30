"""GET /v1/decisions and /v1/decisions/{id}: who asked for what, what was decided, what came of it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from control.access import Caller, InHouse
from control.answers import ERRORS
from control.errors import Refusal
from control.pages import CURSOR_CHARS_MAX, no_cursor, page, read_cursor
from control.store import DecisionFilter

router = APIRouter(tags=["decisions"], responses=ERRORS)

Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]


class Wanted(BaseModel):
    """Which decisions, newest first. `code` is that of a reason or of the outcome."""

    model_config = ConfigDict(extra="forbid")

    agent: Text | None = None
    role: Text | None = None
    tool: Text | None = None
    allow: bool | None = None
    code: Text | None = None
    workflow_id: Text | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: int = Field(default=50, ge=1)
    cursor: str | None = Field(default=None, max_length=CURSOR_CHARS_MAX)


class Decision(BaseModel):
    """A decision with its outcome; `outcome` is null while the call is under way."""

    model_config = ConfigDict(extra="allow")

    id: str
    at: str
    principal: dict[str, Any]
    action: dict[str, Any]
    resource: dict[str, Any]
    arguments_sha256: str
    allow: bool
    reasons: list[dict[str, Any]]
    obligations: dict[str, Any]
    policy: dict[str, str]
    outcome: str | None
    approval_id: str | None
    journal_entry_id: str | None
    correlation_id: str


class Decisions(BaseModel):
    """One page of decisions."""

    items: list[Decision]
    next_cursor: str | None


@router.get("/v1/decisions", response_model=Decisions)
async def list_decisions(caller: Caller, house: InHouse, wanted: Annotated[Wanted, Query()]) -> Any:
    """The decisions of the operator's tenant."""
    limit = min(wanted.limit, house.settings.page_items_max)
    found = await house.store.decisions(caller.tenant, _filter(wanted), limit)
    last = found[-1] if len(found) == limit else None
    return page(
        [decision for _, decision in found],
        None if last is None else (last[0].isoformat(), last[1]["id"]),
    )


@router.get("/v1/decisions/{decision_id}", response_model=Decision)
async def get_decision(caller: Caller, house: InHouse, decision_id: str) -> Any:
    """One decision; another tenant's is as unknown as none."""
    found = None if "\x00" in decision_id else await house.store.decision(caller.tenant, decision_id)
    if found is None:
        raise Refusal("not_found", "no such decision")
    return found


def _filter(wanted: Wanted) -> DecisionFilter:
    before = None
    if wanted.cursor is not None:
        at, decision_id = read_cursor(wanted.cursor, str, str)
        before = _moment(at), decision_id
    return DecisionFilter(
        **wanted.model_dump(exclude={"limit", "cursor"}),
        before=before,
    )


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise no_cursor() from None
    if at.tzinfo is None:
        raise no_cursor()
    return at
