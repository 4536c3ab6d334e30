"""What is counted for policy and shows a violation: refusals in a window, holds of unknown outcome, cases.

Everything is keyed by what the events bring along, so that the same event twice counts once. The statements
are in sql/cases.sql.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Final, Protocol
from uuid import UUID

import orjson

from adapters.postgres import Connection, Database, one
from adapters.queries import named
from control import outbox
from control.observation import HOLD_UNKNOWN, Observation, RefusedCall, is_refusal, refused_call
from schemas.events.registry import Event, event
from schemas.ids import new_id

SQL: Final = named((files("control") / "sql" / "cases.sql").read_text("utf-8"))


class Found(Protocol):
    """A violation."""

    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def codes(self) -> Sequence[str]: ...


class Evidence:
    """The counts and the cases. `counted_max` bounds the refusals looked at for one event, `evidence_max` the
    events of one case."""

    def __init__(self, database: Database, counted_max: int, evidence_max: int) -> None:
        self._database = database
        self._counted_max = counted_max
        self._evidence_max = evidence_max

    async def observe(self, suspects: Sequence[Event], window_s: int) -> list[Observation]:
        """Each with what is known of it. Raises `LookupError` for the outcome of a decision not on record."""
        refusals = [event for event in suspects if is_refusal(event)]
        unknown = [event for event in suspects if event["event_type"] == HOLD_UNKNOWN]

        async def work(connection: Connection) -> list[Observation]:
            await _keep_unknown(connection, unknown)
            calls = await _calls(connection, refusals)
            await _keep_refusals(connection, refusals, calls)
            counts = await self._counts(connection, refusals, calls, window_s)
            return [
                Observation(
                    event,
                    {"agent": call.agent, "action": call.action, "code": call.code, "refusals": count},
                )
                for event, call, count in zip(refusals, calls, counts, strict=True)
            ]

        return await self._database.transact(work) if refusals or unknown else []

    async def keep(self, event: Event, found: Found, window_s: int) -> None:
        """Open a case for what the event shows, or add it to the open one; what is known adds nothing."""

        async def work(connection: Connection) -> None:
            tenant = event["tenant"]
            known = await connection.fetchval(
                SQL.is_evidence, tenant, event["event_id"], found.kind, found.subject
            )
            if known:
                return
            case_id, opened_at = await _open(connection, event, found)
            shown = await self._shown(connection, event, found, window_s)
            await connection.execute(SQL.add_evidence, tenant, case_id, shown, self._evidence_max)
            if opened_at is not None:
                await outbox.tell(connection, _opened(event, found, case_id, opened_at, shown))

        await self._database.transact(work)

    async def overdue(self, age_s: int, limit: int) -> tuple[list[Observation], list[tuple[str, str]]]:
        """Holds whose outcome is unknown for longer than `age_s`, and those of them, by tenant and id, that
        somebody settled meanwhile: at most `limit` together."""
        async with self._database.session() as connection:
            rows = await connection.fetch(SQL.overdue_holds, timedelta(seconds=age_s), limit)
        open_, settled = [], []
        for row in rows:
            if row["settled"]:
                settled.append((row["tenant"], row["hold_id"]))
            else:
                told = orjson.loads(row["event"])
                open_.append(Observation(told, {"unknown_age_s": row["age_s"]}))
        return open_, settled

    async def forget_holds(self, holds: Sequence[tuple[str, str]]) -> None:
        """They were judged, or settled."""
        async with self._database.session() as connection:
            await connection.execute(
                SQL.forget_unknown_holds, [tenant for tenant, _ in holds], [hold_id for _, hold_id in holds]
            )

    async def forget_refusals(self, older_than_s: int) -> None:
        """They count no longer."""
        async with self._database.session() as connection:
            await connection.execute(SQL.forget_refusals, timedelta(seconds=older_than_s))

    async def _counts(
        self, connection: Connection, refusals: Sequence[Event], calls: Sequence[RefusedCall], window_s: int
    ) -> list[dict[str, int]]:
        counts: list[dict[str, int]] = [{} for _ in calls]
        rows = await connection.fetch(
            SQL.count_refusals,
            list(range(len(calls))),
            [event["tenant"] for event in refusals],
            [call.agent for call in calls],
            [call.at for call in calls],
            timedelta(seconds=window_s),
            self._counted_max,
        )
        for row in rows:
            counts[row["place"]][row["code"]] = row["refusals"]
        return counts

    async def _shown(self, connection: Connection, event: Event, found: Found, window_s: int) -> list[str]:
        """The ids of the events that show it: this one, and the refusals that were counted with it."""
        if not found.codes:
            return [event["event_id"]]
        rows = await connection.fetch(
            SQL.refusals_shown,
            event["tenant"],
            found.agent,
            list(found.codes),
            datetime.fromisoformat(event["payload"]["at"]),
            timedelta(seconds=window_s),
            self._counted_max,
        )
        return [event["event_id"], *(row["event_id"] for row in rows if row["event_id"] != event["event_id"])]


async def _keep_unknown(connection: Connection, unknown: Sequence[Event]) -> None:
    await connection.execute(
        SQL.keep_unknown_holds,
        [event["tenant"] for event in unknown],
        [event["payload"]["hold_id"] for event in unknown],
        [event["event_id"] for event in unknown],
        [datetime.fromisoformat(event["occurred_at"]) for event in unknown],
    )


async def _calls(connection: Connection, refusals: Sequence[Event]) -> list[RefusedCall]:
    rows = await connection.fetch(
        SQL.decisions_of,
        [event["tenant"] for event in refusals],
        [event["payload"]["decision_id"] for event in refusals],
    )
    decisions = {(row["tenant"], row["decision_id"]): (row["agent"], row["tool"]) for row in rows}
    return [refused_call(event, decisions) for event in refusals]


async def _keep_refusals(
    connection: Connection, refusals: Sequence[Event], calls: Sequence[RefusedCall]
) -> None:
    await connection.execute(
        SQL.keep_refusals,
        [event["tenant"] for event in refusals],
        [call.decision_id for call in calls],
        [event["event_id"] for event in refusals],
        [call.agent for call in calls],
        [call.code for call in calls],
        [call.at for call in calls],
    )


async def _open(connection: Connection, event: Event, found: Found) -> tuple[UUID, datetime | None]:
    """The open case of this kind and subject, and when it was opened if that is now."""
    tenant, case_id = event["tenant"], UUID(new_id())
    opened_at = await connection.fetchval(
        SQL.open_case,
        tenant,
        case_id,
        found.kind,
        found.subject,
        found.agent,
        event["workflow_id"],
        found.message,
    )
    if opened_at is None:
        case_id = (await one(connection, SQL.open_case_of, tenant, found.kind, found.subject))["id"]
    return case_id, opened_at


def _opened(shown_by: Event, found: Found, case_id: UUID, opened_at: datetime, shown: list[str]) -> Event:
    return event(
        "compliance.case_opened",
        {
            "case_id": str(case_id),
            "kind": found.kind,
            "subject": found.subject,
            "agent": found.agent,
            "message": found.message,
            "evidence": shown[:100],
        },
        tenant=shown_by["tenant"],
        workflow_id=shown_by["workflow_id"],
        correlation_id=shown_by["correlation_id"],
        occurred_at=opened_at.astimezone(UTC).isoformat(),
    )
