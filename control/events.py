"""GET /v1/events: what happened, in order; with `workflow_id` the trail of one workflow."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from control.access import Caller, InHouse
from control.answers import ERRORS
from control.pages import CURSOR_CHARS_MAX, page, read_cursor

router = APIRouter(tags=["events"], responses=ERRORS)


class Wanted(BaseModel):
    """Which events, oldest first. `type` is a whole type, or its beginning with `.*` (`treasury.*`)."""

    model_config = ConfigDict(extra="forbid")

    workflow_id: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = None
    type: Annotated[str, Field(pattern=r"^[a-z]+\.([a-z_]+|\*)$", max_length=100)] | None = None
    limit: int = Field(default=50, ge=1)
    cursor: str | None = Field(default=None, max_length=CURSOR_CHARS_MAX)


class Event(BaseModel):
    """An event as it was published (schemas/events)."""

    event_id: str
    event_type: str
    schema_version: int
    workflow_id: str
    tenant: str
    occurred_at: str
    correlation_id: str
    payload: dict[str, Any]


class Events(BaseModel):
    """One page of events."""

    items: list[Event]
    next_cursor: str | None


@router.get("/v1/events", response_model=Events)
async def list_events(caller: Caller, house: InHouse, wanted: Annotated[Wanted, Query()]) -> Any:
    """The events of the operator's tenant, in the order of their recording."""
    limit = min(wanted.limit, house.settings.page_items_max)
    after = None if wanted.cursor is None else read_cursor(wanted.cursor, int)[0]
    found = await house.store.events(caller.tenant, wanted.workflow_id, wanted.type, after, limit)
    return page([event for _, event in found], (found[-1][0],) if len(found) == limit else None)
