"""Statements and balances as rows for files: whole ledgers, streamed in little memory.

Amounts are in minor units, and beside them in the currency's major unit as a person reads it. What is made
for a principal is of its own entries alone; None as principal takes everybody's.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

import asyncpg

from adapters.postgres import Connection, Database
from adapters.queries import named
from treasury.core.money import major
from treasury.edge import documents
from treasury.edge.commit import instant
from treasury.edge.queries import SQL

ROWS_AT_ONCE: Final = 500
_SQL: Final = named((files("treasury") / "sql" / "statements.sql").read_text("utf-8"))

Row = dict[str, Any]


async def statement(connection: Connection, account: str, tenant: str | None) -> AsyncIterator[Row]:
    """The postings of an account, oldest first, with its balance (debits less credits) after each.

    All in one snapshot; None as tenant takes all tenants.
    """
    balances: dict[tuple[str, str], int] = {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(SQL.statement, account, tenant, prefetch=ROWS_AT_ONCE):
            yield _posted(row, balances)


async def paged_statement(
    database: Database, account: str, tenant: str, principal: str | None
) -> AsyncIterator[Row]:
    """The same for one tenant, a page a session, so that a slow reader keeps nobody waiting."""
    balances: dict[tuple[str, str], int] = {}
    after: tuple[datetime | None, UUID | None] = None, None
    while True:
        async with database.session() as connection:
            rows = await connection.fetch(
                SQL.list_postings, tenant, principal, None, account, *after, ROWS_AT_ONCE
            )
        for row in rows:
            yield _posted(row, balances)
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1]["posted_at"], rows[-1]["id"]


def _posted(row: asyncpg.Record, balances: dict[tuple[str, str], int]) -> Row:
    """A line of a statement; `balances` are kept by tenant and currency."""
    key = row["tenant_id"], row["currency"]
    signed = row["amount_cents"] if row["direction"] == "debit" else -row["amount_cents"]
    balances[key] = balances.get(key, 0) + signed
    return {
        "at": instant(row["posted_at"]),
        "tenant": row["tenant_id"],
        "journal_entry_id": str(row["journal_entry_id"]),
        "workflow_id": str(row["workflow_id"]),
        "direction": row["direction"],
        "amount_cents": row["amount_cents"],
        "currency": row["currency"],
        "amount": major(row["amount_cents"], row["currency"]),
        "balance_cents": balances[key],
        "balance": major(balances[key], row["currency"]),
    }


async def trial_balance(
    connection: Connection, tenant: str | None, principal: str | None = None
) -> list[Row]:
    """Debits, credits and balance (debits less credits) of every account; no tenant takes all tenants."""
    if principal is None:
        rows = await connection.fetch(SQL.trial_balance_rows, tenant)
    else:
        rows = await connection.fetch(SQL.trial_balance_of_principal, tenant, principal)
    return [
        {
            "tenant": row["tenant_id"],
            "account": row["account"],
            "currency": row["currency"],
            "debits_cents": int(row["debits_cents"]),
            "credits_cents": int(row["credits_cents"]),
            "balance": major(int(row["debits_cents"] - row["credits_cents"]), row["currency"]),
        }
        for row in rows
    ]


async def workflow_balance(
    connection: Connection, workflow_id: UUID, tenant: str | None, principal: str | None = None
) -> list[Row]:
    """What was moved and is held in a workflow, by currency; None as tenant takes all tenants."""
    return [
        {
            "tenant": row["tenant_id"],
            "workflow_id": str(workflow_id),
            "currency": row["currency"],
            "debits_cents": int(row["debits_cents"]),
            "credits_cents": int(row["credits_cents"]),
            "balance_cents": int(row["debits_cents"] - row["credits_cents"]),
            "held_cents": int(row["held_cents"]),
            "captured_cents": int(row["captured_cents"]),
        }
        for row in await connection.fetch(_SQL.workflow_balance_rows, workflow_id, tenant, principal)
    ]


async def holds(connection: Connection, status: str, tenant: str | None, limit: int) -> list[Row]:
    """The oldest holds that stand so; None as tenant takes all tenants."""
    return [
        {"tenant": row["tenant_id"], **documents.hold(row)}
        for row in await connection.fetch(_SQL.holds_rows, tenant, status, limit)
    ]
