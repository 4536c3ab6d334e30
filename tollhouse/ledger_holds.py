"""`tollhouse ledger holds`: what is held, above all what nobody knows the end of.

A hold is unknown where a tool may have acted and no answer came. Its money stays held until a provider's
statement tells (`tollhouse ledger reconcile`).
"""

import json
from enum import StrEnum
from typing import Annotated, Final, get_args

import typer
from rich.console import Console
from rich.table import Table

from schemas.spend import HoldStatus
from tollhouse.ledger_rows import Rows
from tollhouse.ledger_source import Data, Dsn, Tenant, ask
from treasury.core.money import major
from treasury.edge import statements

LIMIT_MAX: Final = 10_000
MINUTE_CHARS: Final = 16
Status = StrEnum("Status", {each: each for each in get_args(HoldStatus)})  # type: ignore[misc]
UNKNOWN: Final = Status("unknown")


def holds(
    status: Annotated[Status, typer.Option(help="Those that stand so.")] = UNKNOWN,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="How many at most.")] = 50,
    data: Data = None,
    dsn: Dsn = None,
    tenant: Tenant = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line, with all ids.")] = False,
) -> None:
    """List holds, oldest first: those whose outcome nobody knows, unless another status is named."""
    one_more = limit + 1
    rows = ask(data, dsn, lambda connection: statements.holds(connection, status.value, tenant, one_more))
    found = rows[:limit]
    if as_json:
        for hold in found:
            typer.echo(json.dumps(hold))
    elif found:
        Console(markup=False, highlight=False, emoji=False).print(_table(found))
    else:
        typer.echo(f"no hold is {status.value}")
    if len(rows) > limit:
        typer.echo(f"these are the oldest {len(found)}, and there are more: see --limit", err=True)


def _table(found: Rows) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("hold", no_wrap=True)
    table.add_column("placed (UTC)", no_wrap=True)
    table.add_column("agent", overflow="fold")
    table.add_column("amount", no_wrap=True, justify="right")
    table.add_column("tenant", overflow="fold")
    for hold in found:
        at = hold["placed_at"][:MINUTE_CHARS].replace("T", " ")
        amount = f"{major(hold['amount_cents'], hold['currency'])} {hold['currency']}"
        table.add_row(hold["id"], at, hold["principal"], amount, hold["tenant"])
    return table
