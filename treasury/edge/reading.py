"""Reading the ledger. An agent sees what is its own, an operator all of the tenant.

An agent's own are the intents that it declared, what was authorized, held and posted for them, and the
budgets that its holds were charged to; a budget that it shares says what all who share it have used, since
that is what is left for it.

Lists are pages: `{items, next_cursor}`. A cursor is the key of the last item, opaque to who asks; None
stands at the end.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from adapters.postgres import Connection
from treasury.edge import documents
from treasury.edge.commit import instant
from treasury.edge.knowing import load_intent
from treasury.edge.queries import SQL
from treasury.errors import Refused

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted: at most `limit` items after `cursor`."""

    limit: int
    cursor: str | None = None

    def key(self, *types: Callable[[str], Any]) -> tuple[Any, ...]:
        """The key that the cursor stands for, all None at the beginning; `Refused` for a made-up one."""
        if self.cursor is None:
            return (None,) * len(types)
        try:
            parts = orjson.loads(base64.urlsafe_b64decode(self.cursor))
            return tuple(read(_text(part)) for read, part in zip(types, parts, strict=True))
        except (binascii.Error, orjson.JSONDecodeError, ValueError, TypeError):
            fault = {"loc": ["query", "cursor"], "message": "not a cursor that was given out for this list"}
            raise Refused("invalid", [fault]) from None


class Reader:
    """Questions to the ledger in the name of one tenant, and of one principal unless it is None."""

    def __init__(self, connection: Connection, tenant: str, principal: str | None) -> None:
        self._connection = connection
        self._tenant = tenant
        self._principal = principal

    async def intent(self, intent_id: UUID) -> Document:
        """An intent with its latest authorization; `Refused` (not_found) where there is none."""
        found = await load_intent(self._connection, self._tenant, intent_id)
        if found is None or not self._sees(found.principal):
            raise Refused("not_found", "there is no such intent")
        latest = await self._connection.fetchrow(SQL.authorization_of_intent, self._tenant, intent_id)
        return documents.intent(found, latest)

    async def authorization(self, authorization_id: UUID) -> Document:
        """One authorization, refused ones too; `Refused` (not_found) where there is none."""
        row = await self._connection.fetchrow(SQL.authorization_by_id, self._tenant, authorization_id)
        if row is None or not self._sees(row["principal"]):
            raise Refused("not_found", "there is no such authorization")
        return documents.authorization(row)

    async def holds(self, status: str | None, page: Page) -> Document:
        """Holds in the order in which they were placed."""
        (after,) = page.key(UUID)
        rows = await self._connection.fetch(
            SQL.list_holds, self._tenant, self._principal, status, after, page.limit + 1
        )
        return listed(rows, page, documents.hold, lambda row: [str(row["id"])])

    async def budgets(self, page: Page) -> Document:
        """Every window of every budget that was ever charged, by the principal if there is one."""
        after = page.key(str, str, _moment, str)
        rows = await self._connection.fetch(
            SQL.list_budgets, self._tenant, self._principal, *after, page.limit + 1
        )
        return listed(rows, page, documents.budget, _budget_key)

    async def workflow_balance(self, workflow_id: UUID) -> Document:
        """What was moved and is held in a workflow; `Refused` (not_found) where nobody declared a spend."""
        row = await self._connection.fetchrow(
            SQL.workflow_balance, self._tenant, self._principal, workflow_id
        )
        if row is None:
            raise Refused("not_found", "there is no such workflow")
        return documents.workflow_balance(str(workflow_id), row)

    async def postings(self, page: Page, workflow_id: UUID | None, account: str | None) -> Document:
        """The postings of a workflow or an account, oldest first."""
        after = page.key(_moment, UUID)
        rows = await self._connection.fetch(
            SQL.list_postings, self._tenant, self._principal, workflow_id, account, *after, page.limit + 1
        )
        return listed(rows, page, documents.posting, lambda row: [instant(row["posted_at"]), str(row["id"])])

    async def trial_balance(self) -> Document:
        """Debits and credits of every account; of a principal's own entries, which balance too."""
        if self._principal is None:
            rows = await self._connection.fetch(SQL.trial_balance, self._tenant)
        else:
            rows = await self._connection.fetch(SQL.trial_balance_of_principal, self._tenant, self._principal)
        return documents.trial_balance(rows)

    def _sees(self, principal: str) -> bool:
        return self._principal is None or principal == self._principal


def _text(part: Any) -> str:
    if not isinstance(part, str) or "\x00" in part:
        raise ValueError("a cursor is made of texts")
    return part


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time of no zone")
    return at


def _budget_key(row: asyncpg.Record) -> list[str]:
    return [row["budget_key"], row["budget_window"], instant(row["window_start"]), row["currency"]]


def listed(
    rows: list[asyncpg.Record],
    page: Page,
    document: Callable[[asyncpg.Record], Document],
    key: Callable[[asyncpg.Record], list[str]],
) -> Document:
    """A page of rows, of which one more than its limit was asked for; `key` is what its cursor keeps."""
    items, more = rows[: page.limit], rows[page.limit :]
    cursor = base64.urlsafe_b64encode(orjson.dumps(key(items[-1]))).decode() if more else None
    return {"items": [document(row) for row in items], "next_cursor": cursor}
