"""`tollhouse ledger verify | statement | trial-balance`: the books, read straight from the database."""

import asyncio
import csv
import io
import json
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from tollhouse.local.folders import data_folder
from tollhouse.local.ready_file import NoStack, running
from treasury.edge import statements
from treasury.edge.verify import CHECKS
from treasury.edge.verify import verify as recompute

ledger_app = typer.Typer(no_args_is_help=True, help="The books: recomputed, listed, summed up.")

Result = TypeVar("Result")


class Form(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"


Data = Annotated[
    Path | None, typer.Option(envvar="TOLLHOUSE_DATA", help="The data folder of a running stack.")
]
Dsn = Annotated[str | None, typer.Option(help="PostgreSQL's connection string, instead of --data.")]
Tenant = Annotated[str | None, typer.Option(help="One tenant alone.")]
Written = Annotated[Form, typer.Option("--format", help="How the rows are written.")]


@ledger_app.command()
def verify(data: Data = None, dsn: Dsn = None) -> None:
    """Recompute everything from the entries; exit code 1 and the first difference of each check."""
    differences = {found.check: found for found in _ask(data, dsn, recompute)}
    console = Console()
    for check, what in CHECKS.items():
        found = differences.get(check)
        if found is None:
            console.print(f"[green]ok[/]    {what}", highlight=False)
            continue
        console.print(f"[red]wrong[/] {what}", highlight=False)
        place = f"      tenant {found.tenant}, {check} {found.place}:"
        console.print(
            f"{place} expected {found.expected}, found {found.found}", highlight=False, markup=False
        )
    if differences:
        raise typer.Exit(1)
    console.print("The ledger is sound.", highlight=False)


@ledger_app.command()
def statement(
    account: str, data: Data = None, dsn: Dsn = None, tenant: Tenant = None, form: Written = Form.table
) -> None:
    """The postings of an account, oldest first, with the balance after each; exit code 1 if none."""

    async def rows(connection: asyncpg.Connection) -> list[dict[str, Any]]:
        return [row async for row in statements.statement(connection, account, tenant)]

    found = _ask(data, dsn, rows)
    if not found:
        whose = f" of the tenant {tenant}" if tenant else ""
        typer.echo(
            f"nothing was posted to an account {account}{whose}: trial-balance lists all of them", err=True
        )
        raise typer.Exit(1)
    _write(found, form)


@ledger_app.command()
def trial_balance(
    data: Data = None, dsn: Dsn = None, tenant: Tenant = None, form: Written = Form.table
) -> None:
    """Debits and credits of every account; exit code 1 where they do not balance."""
    rows = _ask(data, dsn, lambda connection: statements.trial_balance(connection, tenant))
    _write(rows, form)
    net: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row["tenant"], row["currency"]
        net[key] = net.get(key, 0) + row["debits_cents"] - row["credits_cents"]
    if any(net.values()):
        raise typer.Exit(1)


def _ask(
    data: Path | None, dsn: str | None, work: Callable[[asyncpg.Connection], Awaitable[Result]]
) -> Result:
    async def run() -> Result:
        connection = await asyncpg.connect(dsn or _dsn_of(data))
        try:
            return await work(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(run())
    except (OSError, asyncpg.PostgresError) as error:
        raise typer.BadParameter(f"the ledger cannot be reached: {error}") from None


def _dsn_of(data: Path | None) -> str:
    """The service's own connection string, from the ready file of the stack in `data`."""
    try:
        return str(running(data or data_folder())["postgres"])
    except NoStack as error:
        raise typer.BadParameter(f"{error}, or --dsn") from None


def _write(rows: list[dict[str, Any]], form: Form) -> None:
    if form is Form.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    elif form is Form.csv:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        sys.stdout.write(text.getvalue())
    else:
        _table(rows)


def _table(rows: list[dict[str, Any]]) -> None:
    table = Table()
    for name in rows[0] if rows else ["nothing was posted yet"]:
        table.add_column(name, justify="right" if name.endswith("_cents") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
