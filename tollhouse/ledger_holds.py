"""`tollhouse ledger holds`: what is held, above all what nobody knows the end of.

A hold is unknown where a tool may have acted and no answer came. Its money stays held until a provider's
statement tells (`tollhouse ledger reconcile`).
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer
from rich.console import Console
from rich.table import Table

from schemas.spend import HoldStatus
from tollhouse.ledger_source import Data
from tollhouse.ledger_treasury import ask_treasury
from treasury.core.money import major

LIMIT_MAX: Final = 10_000
MINUTE_CHARS: Final = 16
Status = StrEnum("Status", {each: each for each in get_args(HoldStatus)})  # type: ignore[misc]
UNKNOWN: Final = Status("unknown")


def holds(
    status: Annotated[Status, typer.Option(help="Those that stand so.")] = UNKNOWN,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="How many at most.")] = 50,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line, with all ids.")] = False,
) -> None:
    """List holds, oldest first: those whose outcome nobody knows, unless another status is named."""
    found, more = _read(data, status.value, limit)
    if as_json:
        for hold in found:
            typer.echo(json.dumps(hold))
    elif found:
        Console(markup=False, highlight=False).print(_table(found))
    else:
        typer.echo(f"no hold is {status.value}")
    if more:
        typer.echo(f"these are the oldest {len(found)}, and there are more: see --limit", err=True)


def _read(data: Path | None, status: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """As many holds as wanted, a page a question, and whether there are more."""
    found: list[dict[str, Any]] = []
    query = {"status": status}
    while True:
        answer = ask_treasury(data, "GET", "/v1/holds", query=query | {"limit": str(limit - len(found))})
        found += answer["items"]
        if answer["next_cursor"] is None or len(found) >= limit:
            return found, answer["next_cursor"] is not None
        query["cursor"] = answer["next_cursor"]


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("hold", no_wrap=True)
    table.add_column("placed (UTC)", no_wrap=True)
    table.add_column("agent", overflow="fold")
    table.add_column("amount", no_wrap=True, justify="right")
    for hold in found:
        at = hold["placed_at"][:MINUTE_CHARS].replace("T", " ")
        amount = f"{major(hold['amount_cents'], hold['currency'])} {hold['currency']}"
        table.add_row(hold["id"], at, hold["principal"], amount)
    return table
