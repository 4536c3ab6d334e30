"""The routes that read the ledger: a gateway asks for its agent's own, an operator for all of the tenant."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from schemas.spend import NO_NUL, HoldStatus
from treasury.edge import statements
from treasury.edge.api import ERRORS
from treasury.edge.bodies import (
    AuthorizationAnswer,
    BudgetAnswer,
    HoldAnswer,
    IntentAnswer,
    Listed,
    PostingAnswer,
    TrialBalance,
    WorkflowBalance,
)
from treasury.edge.exports import CSV_TOO, AsCsv, each, stream
from treasury.edge.house import InHouse, Known, Paged
from treasury.edge.reading import Reader

router = APIRouter(prefix="/v1", tags=["reading"], responses=ERRORS)

Document = dict[str, Any]
AccountPath = Annotated[str, Path(max_length=200, pattern=NO_NUL)]


@router.get("/intents/{intent_id}", response_model=IntentAnswer)
async def intent(parts: InHouse, known: Known, intent_id: UUID) -> Document:
    """An intent with its latest authorization."""
    async with parts.database.session() as connection:
        return await Reader(connection, known.tenant, known.principal).intent(intent_id)


@router.get("/authorizations/{authorization_id}", response_model=AuthorizationAnswer)
async def authorization(parts: InHouse, known: Known, authorization_id: UUID) -> Document:
    """One authorization, refused ones too."""
    async with parts.database.session() as connection:
        return await Reader(connection, known.tenant, known.principal).authorization(authorization_id)


@router.get("/holds", response_model=Listed[HoldAnswer])
async def holds(parts: InHouse, known: Known, page: Paged, status: HoldStatus | None = None) -> Document:
    """Holds, oldest first."""
    async with parts.database.session() as connection:
        return await Reader(connection, known.tenant, known.principal).holds(status, page)


@router.get("/budgets", response_model=Listed[BudgetAnswer])
async def budgets(parts: InHouse, known: Known, page: Paged) -> Document:
    """Every window of every budget that was ever charged."""
    async with parts.database.session() as connection:
        return await Reader(connection, known.tenant, known.principal).budgets(page)


@router.get("/workflows/{workflow_id}/balance", response_model=WorkflowBalance, responses=CSV_TOO)
async def workflow_balance(
    parts: InHouse, known: Known, workflow_id: UUID, as_csv: AsCsv
) -> Document | StreamingResponse:
    """What a workflow moved and holds; as CSV by currency."""
    async with parts.database.session() as connection:
        if as_csv:
            rows = await statements.workflow_balance(connection, workflow_id, known.tenant, known.principal)
            return await stream(each(rows), "workflow-balance")
        return await Reader(connection, known.tenant, known.principal).workflow_balance(workflow_id)


@router.get("/workflows/{workflow_id}/entries", response_model=Listed[PostingAnswer])
async def workflow_entries(parts: InHouse, known: Known, page: Paged, workflow_id: UUID) -> Document:
    """The postings of a workflow, oldest first."""
    async with parts.database.session() as connection:
        return await Reader(connection, known.tenant, known.principal).postings(page, workflow_id, None)


@router.get("/accounts/{account:path}/statement", response_model=Listed[PostingAnswer], responses=CSV_TOO)
async def statement(
    parts: InHouse, known: Known, page: Paged, account: AccountPath, as_csv: AsCsv
) -> Document | StreamingResponse:
    """The postings of an account, oldest first; as CSV all of them, with the balance after each."""
    if as_csv:
        rows = statements.paged_statement(parts.database, account, known.tenant, known.principal)
        return await stream(rows, "statement")
    async with parts.database.session() as connection:
        return await Reader(connection, known.tenant, known.principal).postings(page, None, account)


@router.get("/trial-balance", response_model=TrialBalance, responses=CSV_TOO)
async def trial_balance(parts: InHouse, known: Known, as_csv: AsCsv) -> Document | StreamingResponse:
    """Debits and credits of every account."""
    async with parts.database.session() as connection:
        if as_csv:
            rows = await statements.trial_balance(connection, known.tenant, known.principal)
            return await stream(each(rows), "trial-balance")
        return await Reader(connection, known.tenant, known.principal).trial_balance()
