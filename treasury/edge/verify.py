"""`ledger verify`: recomputes what is kept from the entries, all in one snapshot.

The sums are made in the database, so that a ledger of any size is verified in little memory. Each check
ends at its first difference.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import asyncpg

from adapters.queries import named

_SQL: Final = vars(named((files("treasury") / "sql" / "verify.sql").read_text("utf-8")))

# Every check reads whole tables. What the planner knows of a table may be from when it was empty: it then
# reads one table anew for each row of another, and a ledger of some thousand spends takes hours.
_WHOLE_TABLES: Final = "SET LOCAL enable_nestloop = off"

CHECKS: Final[dict[str, str]] = {
    "entries_balance": "debits and credits of every entry are its amount",
    "postings_have_entries": "every posting belongs to an entry of its workflow",
    "entries_have_authorizations": "every entry has an authorization",
    "executions_match_entries": "every payment has its execution, and nothing else has one",
    "compensations": "reversals are their entries turned round, adjustments resolve a break",
    "matches": "statements' lines are of what they were matched to",
    "top_ups": "top-ups have their entries, and budgets what they were topped up",
    "levels": "budgets stand at the level of what was captured of them",
    "account_balances": "balances are the sums of the postings",
    "holds_match_executions": "holds are of their intents' amounts and captured what was executed",
    "budgets": "budgets are the sums of their holds",
    "states": "holds stand where their authorizations stand",
    "intents": "intents stand where their latest authorizations stand",
    "idempotency": "every kept answer names what it did",
    "outbox_itself": "events say what their rows say, and what was executed",
    "outbox": "everything that happened was told",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where what is kept differs from what the entries say."""

    check: str
    tenant: str
    place: str
    expected: str
    found: str


async def verify(connection: asyncpg.Connection) -> list[Difference]:
    """The first difference of each check, in the order of `CHECKS`; empty when all is well."""
    differences = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_WHOLE_TABLES)
        for check in CHECKS:
            row = await connection.fetchrow(_SQL[check])
            if row is not None:
                differences.append(
                    Difference(check, row["tenant_id"], row["place"], row["expected"], row["found"])
                )
    return differences
