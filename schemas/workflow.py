"""Workflows as operators see them: `/v1/workflows` on control, passed on to the treasury that keeps them."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.spend import AmountCents, Currency

WorkflowStatus = Literal["active", "suspended", "finished"]


class WorkflowBudget(BaseModel):
    """What a workflow may hold and spend in its whole life, in minor units of one currency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount_cents: AmountCents
    currency: Currency


class NewWorkflow(BaseModel):
    """A workflow to create: without an `id` it gets a fresh one; a `budget` is for its whole life."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: UUID | None = None
    budget: WorkflowBudget | None = None


class Workflow(BaseModel):
    """A workflow as it stands. `created_by` is empty for one that began with its first spend."""

    id: UUID
    status: WorkflowStatus
    budget: WorkflowBudget | None
    created_by: str
    created_at: str = Field(description="RFC 3339, UTC")


class Workflows(BaseModel):
    """A page of workflows, by id; `next_cursor` asks for the next one."""

    items: list[Workflow]
    next_cursor: str | None
