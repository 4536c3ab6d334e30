"""Rows as the API answers them: JSON documents, times in RFC 3339, sums as integers."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson

from treasury.core.intent import Intent
from treasury.edge.commit import instant

Row = asyncpg.Record | dict[str, Any]
Document = dict[str, Any]


def intent(found: Intent, latest: Row | None) -> Document:
    """An intent with its latest authorization (None where nobody asked yet)."""
    return {
        "id": str(found.id),
        "status": found.status,
        "workflow_id": str(found.workflow_id),
        "amount_cents": found.money.amount_cents,
        "currency": found.money.currency,
        "purpose": found.purpose,
        "payee": found.payee,
        "principal": found.principal,
        "policy_version": found.policy_version,
        "created_at": instant(found.created_at) if found.created_at else None,
        "authorization": authorization(latest) if latest else None,
    }


def authorization(row: Row) -> Document:
    """An authorization with its hold. `expires_at` is null where nothing is held."""
    reasons = orjson.loads(row["reasons"])
    return {
        "approved": row["status"] in ("approved", "executed"),
        "status": row["status"],
        "reason": reasons[0]["code"],
        "reasons": reasons,
        "intent_id": str(row["intent_id"]),
        "authorization_id": str(row["id"]),
        "hold_id": str(row["hold_id"]) if row["hold_id"] else None,
        "unsettled": row["unsettled"],
        "ceiling_cents": row["ceiling_cents"],
        "captured_cents": row["captured_cents"] or 0,
        "currency": row["currency"],
        "expires_at": instant(row["expires_at"]) if row["expires_at"] else None,
        "decision_id": row["decision_id"],
        "policy": {"version": row["policy_version"], "revision": row["policy_revision"]},
    }


def hold(row: Row) -> Document:
    """What is held, for which intent, until when; amounts in minor units."""
    return {
        "id": str(row["id"]),
        "status": row["status"],
        "intent_id": str(row["intent_id"]),
        "authorization_id": str(row["authorization_id"]),
        "workflow_id": str(row["workflow_id"]),
        "principal": row["principal"],
        "amount_cents": row["amount_cents"],
        "captured_cents": row["captured_cents"],
        "currency": row["currency"],
        "placed_at": instant(row["placed_at"]),
        "expires_at": instant(row["expires_at"]),
    }


def budget(row: Row) -> Document:
    """A window of a budget: `remaining_cents` is what may still be held, 0 where nothing is left."""
    remaining_cents = row["limit_cents"] + row["topped_up_cents"] - row["held_cents"] - row["captured_cents"]
    return {
        "key": row["budget_key"],
        "window": row["budget_window"],
        "window_start": instant(row["window_start"]),
        "currency": row["currency"],
        "limit_cents": row["limit_cents"],
        "held_cents": row["held_cents"],
        "captured_cents": row["captured_cents"],
        "topped_up_cents": row["topped_up_cents"],
        "remaining_cents": max(0, remaining_cents),
    }


def posting(row: Row) -> Document:
    """One side of a journal entry."""
    return {
        "id": str(row["id"]),
        "journal_entry_id": str(row["journal_entry_id"]),
        "account": row["account"],
        "direction": row["direction"],
        "amount_cents": row["amount_cents"],
        "currency": row["currency"],
        "workflow_id": str(row["workflow_id"]),
        "authorization_id": str(row["authorization_id"]),
        "at": instant(row["posted_at"]),
    }


def workflow_balance(workflow_id: str, row: Row) -> Document:
    """What a workflow moved and holds; the balance of a whole workflow is always 0."""
    debits_cents, credits_cents = int(row["debits_cents"]), int(row["credits_cents"])
    return {
        "workflow_id": workflow_id,
        "debits_cents": debits_cents,
        "credits_cents": credits_cents,
        "balance_cents": debits_cents - credits_cents,
        "held_cents": int(row["held_cents"]),
        "captured_cents": int(row["captured_cents"]),
    }


def trial_balance(rows: Sequence[Row]) -> Document:
    """The sums of every account, and of the whole ledger."""
    items = [
        {
            "account": row["account"],
            "currency": row["currency"],
            "debits_cents": int(row["debits_cents"]),
            "credits_cents": int(row["credits_cents"]),
        }
        for row in rows
    ]
    debits_cents = sum(item["debits_cents"] for item in items)
    credits_cents = sum(item["credits_cents"] for item in items)
    net: dict[str, int] = {}
    for item in items:
        net[item["currency"]] = net.get(item["currency"], 0) + item["debits_cents"] - item["credits_cents"]
    return {
        "items": items,
        "debits_cents": debits_cents,
        "credits_cents": credits_cents,
        "balanced": not any(net.values()),
    }
