"""The routes of reconciliation: an operator imports a statement, looks at its breaks and resolves them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from schemas.spend import Account, AmountCents, Currency
from treasury.core.reconciliation import BreakKind, Line
from treasury.core.resolution import Action
from treasury.edge.answers import StrictRoute
from treasury.edge.api import ERRORS
from treasury.edge.bodies import Listed
from treasury.edge.house import InHouse, Paged
from treasury.edge.operating import Operating, Operator
from treasury.edge.reading import listed
from treasury.edge.reconciliations import SQL, Statement, document, reconcile, summary
from treasury.edge.resolutions import Resolution, resolve
from treasury.errors import Refused

Document = dict[str, Any]
Reference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)]


class StatementRoute(StrictRoute):
    """Statements are longer than other bodies."""

    limit = "statement_bytes_max"


router = APIRouter(
    prefix="/v1/reconciliations", tags=["reconciliation"], route_class=StatementRoute, responses=ERRORS
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineBody(_Body):
    """One charge. `reference` is one of our ids of the spend, `id` the provider's own of the line."""

    reference: Reference
    amount_cents: AmountCents
    currency: Currency
    at: AwareDatetime | None = None
    id: Reference | None = None


class StatementBody(_Body):
    """What a provider was paid, and between which times it should list everything."""

    provider: Account
    lines: list[LineBody] = Field(min_length=1)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    def statement(self) -> Statement:
        """The statement, its lines numbered from 1."""
        lines = tuple(
            Line(number, line.reference, line.amount_cents, line.currency, line.at, line.id)
            for number, line in enumerate(self.lines, start=1)
        )
        return Statement(self.provider, lines, self.since, self.until)


class ResolutionBody(_Body):
    """What is done about a break, and why."""

    action: Action
    note: Note = ""


class BreakAnswer(BaseModel):
    """A difference between statement and ledger; `amount_cents` is the statement's where it has one."""

    id: UUID
    kind: BreakKind
    reference: str
    amount_cents: int
    currency: str
    ledger_cents: int | None
    line: int | None
    hold_id: UUID | None
    status: str
    action: Action | None
    note: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    journal_entry_ids: list[UUID] | None = None


class ReconciliationSummary(BaseModel):
    """How many lines were matched, told unknown outcomes (among the matched), or were known before."""

    id: UUID
    provider: str
    matched: int
    settled: int
    repeated: int
    operator: str
    at: datetime


class ReconciliationAnswer(ReconciliationSummary):
    """A reconciliation with every break."""

    breaks: list[BreakAnswer]


@router.post(
    "", status_code=201, response_model=ReconciliationAnswer, responses={200: {"model": ReconciliationAnswer}}
)
async def import_statement(request: Request, operating: Operating, body: StatementBody) -> JSONResponse:
    """Hold a statement against the ledger; one that was imported before is answered with 200."""
    lines_max = operating.parts.settings.statement_lines_max
    if len(body.lines) > lines_max:
        fault = {"loc": ["body", "lines"], "message": f"a statement has at most {lines_max} lines"}
        raise Refused("invalid", [fault])
    statement = body.statement()
    return await operating.once(
        body.model_dump(mode="json"), lambda commit: reconcile(commit, statement, operating.operator)
    )


@router.get("", response_model=Listed[ReconciliationSummary])
async def reconciliations(parts: InHouse, known: Operator, page: Paged) -> Document:
    """Every reconciliation, the newest first."""
    after = page.key(UUID)
    async with parts.database.session() as connection:
        rows = await connection.fetch(SQL.list_reconciliations, known.tenant, *after, page.limit + 1)
    return listed(rows, page, summary, lambda row: [str(row["id"])])


@router.get("/{reconciliation_id}", response_model=ReconciliationAnswer)
async def reconciliation(parts: InHouse, known: Operator, reconciliation_id: UUID) -> Document:
    """One reconciliation with its breaks as they stand now."""
    async with parts.database.session() as connection:
        return await document(connection, known.tenant, reconciliation_id)


@router.post("/{reconciliation_id}/breaks/{break_id}/resolve", response_model=BreakAnswer)
async def resolve_break(
    request: Request, operating: Operating, reconciliation_id: UUID, break_id: UUID, body: ResolutionBody
) -> JSONResponse:
    """Resolve a break by compensating entries."""
    resolution = Resolution(body.action, body.note, operating.operator)
    return await operating.once(
        body.model_dump(mode="json"),
        lambda commit: resolve(commit, reconciliation_id, break_id, resolution),
    )
