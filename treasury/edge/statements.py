"""Statements and trial balances as rows for files: whole ledgers, streamed in little memory."""

from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg

from treasury.core.money import major
from treasury.edge.commit import instant
from treasury.edge.queries import SQL

ROWS_AT_ONCE: Final = 500


async def statement(
    connection: asyncpg.Connection, account: str, tenant: str | None
) -> AsyncIterator[dict[str, Any]]:
    """The postings of an account, oldest first, with its balance (debits less credits) after each.

    None as tenant takes all tenants; amounts are in minor units and in the currency's major unit.
    """
    balances: dict[tuple[str, str], int] = {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(SQL.statement, account, tenant, prefetch=ROWS_AT_ONCE):
            key = row["tenant_id"], row["currency"]
            signed = row["amount_cents"] if row["direction"] == "debit" else -row["amount_cents"]
            balances[key] = balances.get(key, 0) + signed
            yield {
                "at": instant(row["posted_at"]),
                "tenant": row["tenant_id"],
                "journal_entry_id": str(row["journal_entry_id"]),
                "workflow_id": str(row["workflow_id"]),
                "direction": row["direction"],
                "amount_cents": row["amount_cents"],
                "currency": row["currency"],
                "amount": major(row["amount_cents"], row["currency"]),
                "balance_cents": balances[key],
            }


async def trial_balance(connection: asyncpg.Connection, tenant: str | None) -> list[dict[str, Any]]:
    """Debits and credits of every account, in minor units."""
    return [
        {
            "tenant": row["tenant_id"],
            "account": row["account"],
            "currency": row["currency"],
            "debits_cents": int(row["debits_cents"]),
            "credits_cents": int(row["credits_cents"]),
        }
        for row in await connection.fetch(SQL.trial_balance_rows, tenant)
    ]
