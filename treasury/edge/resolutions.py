"""Resolving a break in one commit: the compensating entries, and who said so.

A reversal belongs to the workflow and authorization of the entry that it takes back. A new entry belongs to
the workflow of the reconciliation, under an authorization that is the operator's own word, kept like a
gateway's warrant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from treasury.core.money import Money
from treasury.core.posting import OPERATING, JournalEntry
from treasury.core.resolution import BREAK, Action, refuse_unless_allowed
from treasury.edge import settlements
from treasury.edge.commit import Answer, Commit, fresh_id
from treasury.edge.reconciliations import SQL, document
from treasury.edge.telling import Told, tell
from treasury.errors import Refused


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an operator decides about a break, and why."""

    action: Action
    note: str
    operator: str


async def resolve(commit: Commit, reconciliation_id: UUID, break_id: UUID, resolution: Resolution) -> Answer:
    """Resolve an open break; one that is resolved is `duplicate`, one that is not there `not_found`."""
    row = await commit.connection.fetchrow(SQL.lock_break, commit.tenant, reconciliation_id, break_id)
    if row is None:
        raise Refused("not_found", "there is no such break")
    if row["status"] != "open":
        raise Refused("duplicate", f"the break was resolved already: {row['action']}")
    refuse_unless_allowed(row["kind"], resolution.action, executed=bool(row["execution_ids"]))
    BREAK.step("open", "resolved")
    entries = await _compensate(commit, row, resolution)
    await commit.connection.execute(
        SQL.resolve_break,
        commit.tenant,
        break_id,
        resolution.action,
        resolution.note,
        resolution.operator,
        commit.at,
    )
    await _tell(commit, row, resolution, entries)
    found = await document(commit.connection, commit.tenant, reconciliation_id)
    (resolved,) = (item for item in found["breaks"] if item["id"] == str(break_id))
    return Answer(200, resolved | {"journal_entry_ids": [str(entry) for entry in entries]})


async def _compensate(commit: Commit, row: asyncpg.Record, resolution: Resolution) -> list[UUID]:
    """Do what was decided; the ids of the entries that were posted for it."""
    if resolution.action in ("capture", "void"):
        amount_cents = row["ledger_cents"] if resolution.action == "capture" else None
        await settlements.reconcile(commit, {row["hold_id"]: amount_cents})
        return []
    entries = []
    if resolution.action in ("reverse", "correct"):
        entries += await _reverse(commit, row)
    if resolution.action in ("correct", "post"):
        entries.append(await _adjust(commit, row, resolution.operator))
    return entries


async def _reverse(commit: Commit, row: asyncpg.Record) -> list[UUID]:
    rows = await commit.connection.fetch(SQL.entries_of_executions, commit.tenant, row["execution_ids"])
    reversals = []
    for entry in rows:
        money = Money(entry["amount_cents"], entry["currency"])
        paid = JournalEntry(debited=entry["recipient_account"], credited=OPERATING, money=money)
        reversals.append(fresh_id())
        await commit.connection.execute(
            SQL.post_compensation,
            commit.tenant,
            reversals[-1],
            entry["workflow_id"],
            entry["authorization_id"],
            money.amount_cents,
            money.currency,
            "reversal",
            entry["id"],
            row["id"],
            *_sides(paid.reversed()),
        )
    return reversals


async def _adjust(commit: Commit, row: asyncpg.Record, operator: str) -> UUID:
    """Post what the statement says, to the provider's account."""
    intent_id, warrant_id, authorization_id, entry_id = (fresh_id() for _ in range(4))
    money = Money(row["amount_cents"], row["currency"])
    await commit.connection.execute(
        SQL.insert_operators_word,
        commit.tenant,
        intent_id,
        row["reconciliation_id"],
        money.amount_cents,
        money.currency,
        row["provider"],
        operator,
        warrant_id,
        f"operator:{operator}",
        str(row["reconciliation_id"]),
        commit.at,
        authorization_id,
    )
    entry = JournalEntry(debited=row["provider"], credited=OPERATING, money=money)
    await commit.connection.execute(
        SQL.post_compensation,
        commit.tenant,
        entry_id,
        row["reconciliation_id"],
        authorization_id,
        money.amount_cents,
        money.currency,
        "adjustment",
        None,
        row["id"],
        *_sides(entry),
    )
    return entry_id


def _sides(entry: JournalEntry) -> tuple[UUID, str, UUID, str]:
    """Ids and accounts of the debit and the credit."""
    return fresh_id(), entry.debited, fresh_id(), entry.credited


async def _tell(commit: Commit, row: asyncpg.Record, resolution: Resolution, entries: Sequence[UUID]) -> None:
    payload: dict[str, Any] = {
        "reconciliation_id": str(row["reconciliation_id"]),
        "break_id": str(row["id"]),
        "kind": row["kind"],
        "action": resolution.action,
        "journal_entry_ids": [str(entry) for entry in entries],
        "by": resolution.operator,
    }
    told = Told(commit.tenant, row["reconciliation_id"], commit.correlation_id, commit.at)
    await tell(commit.connection, told, "treasury.break_resolved", payload)
