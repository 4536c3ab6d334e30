"""What control keeps in PostgreSQL and how it is asked for. The statements are in sql/queries.sql.

Rows are only ever inserted, under keys that the events bring along: recording the same event again
changes nothing. Reading always names the tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import orjson

from adapters.postgres import Connection, Database
from adapters.queries import named
from schemas.events.registry import Event

_SQL: Final = named((files("control") / "sql" / "queries.sql").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions are wanted; None asks for all. `before` is the last one of the previous page."""

    agent: str | None = None
    role: str | None = None
    tool: str | None = None
    allow: bool | None = None
    code: str | None = None
    workflow_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str] | None = None


class Store:
    """The record of what happened."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, events: Sequence[Event]) -> None:
        """Keep these valid events, all or none; those that are kept already stay as they are.

        Raises `DatabaseUnavailable`, or `UnusableValue` for an event that PostgreSQL cannot hold.
        """

        async def write(connection: Connection) -> None:
            await connection.execute(_SQL.record_events, *_columns(events))
            for event_type, statement in _RECORDS.items():
                wanted = [event for event in events if event["event_type"] == event_type]
                if wanted:
                    await connection.execute(
                        statement,
                        [event["tenant"] for event in wanted],
                        [_text(event["payload"]) for event in wanted],
                    )

        events = [_storable(event) for event in events]
        await self._database.transact(write)

    async def decision(self, tenant: str, decision_id: str) -> dict[str, Any] | None:
        """One decision with its outcome (see `_answer`), or None where the tenant has none of that id."""
        async with self._database.session() as connection:
            row = await connection.fetchrow(_SQL.decision, tenant, decision_id)
        return None if row is None else _answer(row["decided"], row["completed"])

    async def decisions(
        self, tenant: str, wanted: DecisionFilter, limit: int
    ) -> list[tuple[datetime, dict[str, Any]]]:
        """The newest first: when each was made, and the decision with its outcome."""
        before_at, before_id = wanted.before or (None, None)
        async with self._database.session() as connection:
            rows = await connection.fetch(
                _SQL.decisions,
                tenant,
                wanted.agent,
                wanted.role,
                wanted.tool,
                wanted.allow,
                wanted.code,
                wanted.workflow_id,
                wanted.since,
                wanted.until,
                before_at,
                before_id,
                limit,
            )
        return [(row["at"], _answer(row["decided"], row["completed"])) for row in rows]

    async def events(
        self, tenant: str, workflow_id: str | None, event_type: str | None, after: int | None, limit: int
    ) -> list[tuple[int, Event]]:
        """In the order in which they were recorded: each with its position, to ask on from there.

        `event_type` is a whole type, or its beginning and `*`.
        """
        pattern = event_type and event_type.replace("_", r"\_").replace("*", "%")
        async with self._database.session() as connection:
            rows = await connection.fetch(_SQL.events, tenant, workflow_id, pattern, after, limit)
        return [(row["position"], orjson.loads(row["event"])) for row in rows]

    async def answers(self) -> None:
        """Return when PostgreSQL answers; raises `DatabaseUnavailable` when it does not."""
        async with self._database.session() as connection:
            await connection.fetchval("SELECT 1")


_RECORDS: Final = {"gateway.decided": _SQL.record_decisions, "gateway.completed": _SQL.record_outcomes}


def _columns(events: Sequence[Event]) -> tuple[list[Any], ...]:
    return (
        [event["tenant"] for event in events],
        [event["event_id"] for event in events],
        [event["event_type"] for event in events],
        [event["workflow_id"] for event in events],
        [datetime.fromisoformat(event["occurred_at"]) for event in events],
        [_text(event) for event in events],
    )


def _storable(value: Any) -> Any:
    """The same without U+0000, which PostgreSQL's texts cannot hold."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {_storable(name): _storable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_storable(member) for member in value]
    return value


def _text(document: Any) -> str:
    return orjson.dumps(document).decode()


def _answer(decided: str, completed: str | None) -> dict[str, Any]:
    """A decision as the API shows it; `outcome` is null for as long as the call is under way."""
    record = orjson.loads(decided)
    ending = orjson.loads(completed) if completed else {}
    return {
        "id": record.pop("decision_id"),
        **record,
        "outcome": ending.get("outcome") if record["allow"] else "refused",
        "status": ending.get("status"),
        "code": ending.get("code"),
        "duration_ms": ending.get("duration_ms"),
        "approval_id": record.get("approval_id"),
        "hold_id": ending.get("hold_id") or record.get("hold_id"),
        "journal_entry_id": ending.get("journal_entry_id"),
    }
