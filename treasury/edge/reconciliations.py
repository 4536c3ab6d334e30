"""Reconciliation in one commit: the statement is kept with what it was matched to and every break.

Two statements of a tenant are never worked on at once. A statement that was imported before is answered as
it was then, whatever its idempotency key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

import asyncpg

from adapters.postgres import Connection
from adapters.queries import named
from schemas.ids import digest
from treasury.core.reconciliation import Booked, Break, Executed, Line, Matching, Settlement, match
from treasury.core.resolution import BREAK
from treasury.edge import settlements
from treasury.edge.commit import Answer, Commit, fresh_id, instant
from treasury.edge.queries import SQL as LEDGER
from treasury.edge.telling import Told, tell
from treasury.errors import Refused

SQL: Final = named((files("treasury") / "sql" / "reconciliation.sql").read_text("utf-8"))
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a provider says it was paid. `since` and `until` bound what it should list.

    Without `until` that is up to its last line's time, or to now where no line has one; without `since` it is
    everything that no statement listed before.
    """

    provider: str
    lines: tuple[Line, ...]
    since: datetime | None = None
    until: datetime | None = None

    def sha256(self) -> str:
        """What makes it the same statement."""
        period = [at and at.timestamp() for at in (self.since, self.until)]
        return digest([self.provider, period, [(line.identity(), line.reference) for line in self.lines]])

    def last_at(self) -> datetime | None:
        """The end of what it should list, None where it does not say."""
        return self.until or max((line.at for line in self.lines if line.at), default=None)


async def reconcile(commit: Commit, statement: Statement, operator: str) -> Answer:
    """Match a statement, settle what it tells of unknown outcomes, keep the rest as breaks."""
    await commit.connection.execute(SQL.one_at_a_time, commit.tenant)
    known = await commit.connection.fetchval(
        SQL.known_statement, commit.tenant, statement.provider, statement.sha256()
    )
    if known is not None:
        return Answer(200, await document(commit.connection, commit.tenant, known))
    found = await _matching(commit, statement)
    found = await _settle(commit, statement, found)
    reconciliation_id = fresh_id()
    await _keep(commit, statement, found, operator, reconciliation_id)
    await _tell(commit, statement, found, operator, reconciliation_id)
    return Answer(201, await document(commit.connection, commit.tenant, reconciliation_id))


async def document(connection: Connection, tenant: str, reconciliation_id: UUID) -> Document:
    """A reconciliation with its breaks as they stand now; `Refused` (not_found) where there is none."""
    row = await connection.fetchrow(SQL.reconciliation, tenant, reconciliation_id)
    if row is None:
        raise Refused("not_found", "there is no such reconciliation")
    breaks = await connection.fetch(SQL.breaks_of, tenant, reconciliation_id)
    return summary(row) | {"breaks": [break_document(found) for found in breaks]}


def summary(row: asyncpg.Record) -> Document:
    """A reconciliation without its breaks. `matched` counts lines, `settled` those of unknown outcomes."""
    return {
        "id": str(row["id"]),
        "provider": row["provider"],
        "matched": row["matched"],
        "settled": row["settled"],
        "repeated": row["repeated"],
        "operator": row["operator"],
        "at": instant(row["created_at"]),
    }


def break_document(row: asyncpg.Record) -> Document:
    """A break; what does not apply to it is null."""
    return {
        "id": str(row["id"]),
        "kind": row["kind"],
        "reference": row["reference"],
        "amount_cents": row["amount_cents"],
        "currency": row["currency"],
        "ledger_cents": row["ledger_cents"],
        "line": row["line_number"],
        "hold_id": str(row["hold_id"]) if row["hold_id"] else None,
        "status": row["status"],
        "action": row["action"],
        "note": row["note"],
        "resolved_by": row["resolved_by"],
        "resolved_at": instant(row["resolved_at"]) if row["resolved_at"] else None,
    }


async def _matching(commit: Commit, statement: Statement) -> Matching:
    lines = statement.lines
    earlier = await commit.connection.fetch(
        SQL.earlier_identities, commit.tenant, statement.provider, [line.identity() for line in lines]
    )
    references = [line.reference for line in lines]
    rows = await commit.connection.fetch(
        SQL.booked,
        commit.tenant,
        _uuids(references),
        references,
        statement.provider,
        statement.since,
        statement.last_at() or commit.at,
    )
    return match(lines, [_booked(row) for row in rows], frozenset(row["identity"] for row in earlier))


def _uuids(references: Sequence[str]) -> list[UUID]:
    found = []
    for reference in references:
        try:
            found.append(UUID(reference))
        except ValueError:
            continue  # a reference of another form names no id of ours but perhaps a decision's
    return found


def _booked(row: asyncpg.Record) -> Booked:
    columns = (row["ids"], row["entry_ids"], row["amounts_cents"], row["matched"])
    free = tuple(
        Executed(id_, entry_id, amount_cents)
        for id_, entry_id, amount_cents, was_matched in zip(*columns, strict=True)
        if not was_matched
    )
    ids = ("hold_id", "authorization_id", "intent_id", "decision_id")
    names = [row[name] for name in ids] + row["ids"] + row["entry_ids"]
    return Booked(
        hold_id=row["hold_id"],
        workflow_id=row["workflow_id"],
        names=frozenset(str(name).lower() for name in names),
        currency=row["currency"],
        hold_status=row["status"],
        left_cents=row["left_cents"],
        executions=free,
        was_matched=any(row["matched"]),
        expected=row["expected"],
    )


async def _settle(commit: Commit, statement: Statement, found: Matching) -> Matching:
    """Capture what lines tell of unknown outcomes, and match these lines to what was captured."""
    due = found.settled
    if due:
        outcomes = {settlement.hold_id: settlement.line.amount_cents for settlement in due}
        await settlements.reconcile(commit, outcomes)
    captured = await _captured(commit, statement, due)
    found.matched += [(s.line, captured[s.hold_id]) for s in due]
    return found


async def _captured(
    commit: Commit, statement: Statement, due: Sequence[Settlement]
) -> dict[UUID, tuple[Executed, ...]]:
    if not due:
        return {}
    holds = [settlement.hold_id for settlement in due]
    rows = await commit.connection.fetch(
        SQL.booked, commit.tenant, holds, [], statement.provider, statement.since, commit.at
    )
    return {row["hold_id"]: _booked(row).executions for row in rows if row["hold_id"] in set(holds)}


async def _keep(
    commit: Commit, statement: Statement, found: Matching, operator: str, reconciliation_id: UUID
) -> None:
    execute, tenant, lines = commit.connection.execute, commit.tenant, statement.lines
    await execute(LEDGER.insert_workflow, tenant, reconciliation_id)
    await execute(
        SQL.insert_reconciliation,
        tenant,
        reconciliation_id,
        statement.provider,
        statement.sha256(),
        len(found.matched),
        len(found.settled),
        found.repeated,
        operator,
    )
    await execute(
        SQL.insert_lines,
        tenant,
        reconciliation_id,
        statement.provider,
        [line.number for line in lines],
        [line.identity() for line in lines],
        [line.reference for line in lines],
        [line.amount_cents for line in lines],
        [line.currency for line in lines],
        [line.at for line in lines],
    )
    pairs = [(execution.id, line.number) for line, executions in found.matched for execution in executions]
    await execute(SQL.insert_matches, tenant, reconciliation_id, *_unzipped(pairs))
    for broken in found.breaks:
        await _keep_break(commit, reconciliation_id, broken)


def _unzipped(pairs: Sequence[tuple[UUID, int]]) -> tuple[list[UUID], list[int]]:
    return [execution_id for execution_id, _ in pairs], [number for _, number in pairs]


async def _keep_break(commit: Commit, reconciliation_id: UUID, broken: Break) -> None:
    BREAK.step("", "open")
    await commit.connection.execute(
        SQL.insert_break,
        commit.tenant,
        fresh_id(),
        reconciliation_id,
        broken.kind,
        broken.line_number,
        broken.reference,
        broken.amount_cents,
        broken.currency,
        broken.ledger_cents,
        broken.hold_id,
        list(broken.execution_ids),
    )


async def _tell(
    commit: Commit, statement: Statement, found: Matching, operator: str, reconciliation_id: UUID
) -> None:
    payload = {
        "reconciliation_id": str(reconciliation_id),
        "provider": statement.provider,
        "lines": len(statement.lines),
        "matched": len(found.matched),
        "settled": len(found.settled),
        "repeated": found.repeated,
        "breaks": len(found.breaks),
        "by": operator,
    }
    told = Told(commit.tenant, reconciliation_id, commit.correlation_id, commit.at)
    await tell(commit.connection, told, "treasury.reconciled", payload)
