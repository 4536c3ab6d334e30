"""`tollhouse ledger …`: the books, read straight from the database, and what is done with them."""

from typing import Annotated
from uuid import UUID

import asyncpg
import typer

from tollhouse.ledger_backup import backup, restore
from tollhouse.ledger_holds import holds
from tollhouse.ledger_reconcile import reconcile, resolve
from tollhouse.ledger_rows import Form, Output, Row, Rows, Written, write
from tollhouse.ledger_source import Data, Dsn, Tenant, ask
from tollhouse.ledger_verify import tell
from treasury.core.money import major
from treasury.edge import statements
from treasury.edge.verify import verify as recompute

ledger_app = typer.Typer(no_args_is_help=True, help="The books: verified, listed, reconciled, backed up.")
ledger_app.command()(holds)
ledger_app.command()(reconcile)
ledger_app.command()(resolve)
ledger_app.command()(backup)
ledger_app.command()(restore)


@ledger_app.command()
def verify(data: Data = None, dsn: Dsn = None) -> None:
    """Recompute everything from the entries; exit code 1 and the first difference of each check."""
    tell(ask(data, dsn, recompute))


@ledger_app.command()
def statement(
    account: str,
    data: Data = None,
    dsn: Dsn = None,
    tenant: Tenant = None,
    form: Written = Form.table,
    output: Output = None,
) -> None:
    """The postings of an account, oldest first, with the balance after each; exit code 1 if none."""

    async def rows(connection: asyncpg.Connection) -> Rows:
        return [row async for row in statements.statement(connection, account, tenant)]

    found = ask(data, dsn, rows)
    if not found:
        whose = f" of the tenant {tenant}" if tenant else ""
        typer.echo(
            f"nothing was posted to an account {account}{whose}: trial-balance lists all of them", err=True
        )
        raise typer.Exit(1)
    write(found, form, output, _statement_line)


@ledger_app.command()
def balance(
    workflow: Annotated[UUID, typer.Argument(help="The workflow's id.")],
    data: Data = None,
    dsn: Dsn = None,
    tenant: Tenant = None,
    form: Written = Form.table,
    output: Output = None,
) -> None:
    """What a workflow moved and holds, by currency."""
    rows = ask(data, dsn, lambda connection: statements.workflow_balance(connection, workflow, tenant))
    write(rows, form, output, _workflow_line)


@ledger_app.command()
def trial_balance(
    data: Data = None,
    dsn: Dsn = None,
    tenant: Tenant = None,
    form: Written = Form.table,
    output: Output = None,
) -> None:
    """Debits and credits of every account; exit code 1 where they do not balance."""
    rows = ask(data, dsn, lambda connection: statements.trial_balance(connection, tenant))
    write(rows, form, output, _account_line)
    net: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row["tenant"], row["currency"]
        net[key] = net.get(key, 0) + row["debits_cents"] - row["credits_cents"]
    if any(net.values()):
        raise typer.Exit(1)


def _statement_line(row: Row) -> Row:
    side = {"debit": "", "credit": ""} | {row["direction"]: row["amount"]}
    at = row["at"][:19].replace("T", " ")
    return {"at (UTC)": at} | side | {name: row[name] for name in ("balance", "currency", "tenant")}


def _account_line(row: Row) -> Row:
    return {"account": row["account"]} | _sums(row) | {"balance": row["balance"], "tenant": row["tenant"]}


def _workflow_line(row: Row) -> Row:
    rest = {name: major(row[f"{name}_cents"], row["currency"]) for name in ("held", "captured")}
    return _sums(row) | rest | {"tenant": row["tenant"]}


def _sums(row: Row) -> Row:
    sums = {name: major(row[f"{name}_cents"], row["currency"]) for name in ("debits", "credits")}
    return {"currency": row["currency"]} | sums
