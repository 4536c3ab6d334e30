"""Cases as operators read and answer them. The statements are in sql/cases.sql."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from adapters.postgres import Connection, Database, one
from control import outbox
from control.errors import Refusal
from control.evidence import SQL
from schemas.events.registry import Event, event

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases are wanted; None asks for all. `before` is the last one of the previous page."""

    workflow_id: str | None = None
    status: str | None = None
    agent: str | None = None
    kind: str | None = None
    before: tuple[datetime, UUID] | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """An operator's word on a case; `correlation_id` is that of the request."""

    by: str
    resolution: str
    note: str
    correlation_id: str


class CaseStore:
    """The cases of all tenants; every question names its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, tenant: str, wanted: CaseFilter, limit: int) -> list[tuple[datetime, Document]]:
        """The newest first: when each was opened, and the case."""
        before_at, before_id = wanted.before or (None, None)
        async with self._database.session() as connection:
            rows = await connection.fetch(
                SQL.list_cases,
                tenant,
                wanted.workflow_id,
                wanted.status,
                wanted.agent,
                wanted.kind,
                before_at,
                before_id,
                limit,
            )
        return [(row["opened_at"], _document(row)) for row in rows]

    async def one(self, tenant: str, case_id: UUID) -> Document | None:
        """A case with its evidence, the events in the order of their recording."""
        async with self._database.session() as connection:
            row = await connection.fetchrow(SQL.one_case, tenant, case_id)
            if row is None:
                return None
            shown = await connection.fetch(SQL.evidence, tenant, case_id)
        return _document(row) | {"evidence": [orjson.loads(event["event"]) for event in shown]}

    async def assign(self, tenant: str, case_id: UUID, operator: str) -> Document:
        """Give it to an operator. Raises `Refusal` (not_found, case_resolved)."""

        async def work(connection: Connection) -> Document:
            await _unresolved(connection, tenant, case_id)
            return _document(await one(connection, SQL.assign_case, tenant, case_id, operator))

        return await self._database.transact(work)

    async def resolve(self, tenant: str, case_id: UUID, resolved: Resolution) -> Document:
        """Close it; what it counted counts no longer. Raises `Refusal` (not_found, case_resolved)."""

        async def work(connection: Connection) -> Document:
            await _unresolved(connection, tenant, case_id)
            row = await one(
                connection,
                SQL.resolve_case,
                tenant,
                case_id,
                resolved.resolution,
                resolved.note,
                resolved.by,
            )
            await connection.execute(SQL.forget_counted, tenant, case_id)
            await outbox.tell(connection, _closed(row, resolved))
            return _document(row)

        return await self._database.transact(work)


async def _unresolved(connection: Connection, tenant: str, case_id: UUID) -> None:
    row = await connection.fetchrow(SQL.lock_case, tenant, case_id)
    if row is None:
        raise Refusal("not_found", "no such case")
    if row["status"] == "resolved":
        raise Refusal("case_resolved", f"{row['resolved_by']} resolved this case")


def _closed(row: asyncpg.Record, resolved: Resolution) -> Event:
    payload = {name: row[name] for name in ("kind", "subject", "agent")} | {
        "case_id": str(row["id"]),
        "by": resolved.by,
        "resolution": resolved.resolution,
        "note": resolved.note,
    }
    return event(
        "compliance.case_closed",
        payload,
        tenant=row["tenant"],
        workflow_id=row["workflow_id"],
        correlation_id=resolved.correlation_id,
        occurred_at=_instant(row["resolved_at"]),
    )


def _document(row: asyncpg.Record) -> Document:
    """A case as the API shows it."""
    names = ("kind", "subject", "agent", "workflow_id", "message", "status", "assigned_to", "resolution")
    resolved_at = row["resolved_at"]
    return {
        "id": str(row["id"]),
        **{name: row[name] for name in names},
        "note": row["note"],
        "opened_at": _instant(row["opened_at"]),
        "resolved_by": row["resolved_by"],
        "resolved_at": None if resolved_at is None else _instant(resolved_at),
    }


def _instant(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat()
