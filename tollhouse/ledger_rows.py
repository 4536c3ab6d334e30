"""Rows as people and programs read them: a table in the terminal, JSON or CSV; on stdout or in a file."""

import csv
import io
import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

NOTHING: Final = "nothing was posted yet"
FILE_COLUMNS: Final = 160
MONEY: Final = frozenset({"debit", "credit", "debits", "credits", "balance", "held", "captured"})

Row = dict[str, Any]
Rows = list[Row]


class Form(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"


Written = Annotated[Form, typer.Option("--format", help="How the rows are written.")]
Output = Annotated[
    Path | None, typer.Option(help="Write to this file, which must not be there yet.", show_default="stdout")
]


def write(rows: Rows, form: Form, output: Path | None, shown: Callable[[Row], Row]) -> None:
    """Write the rows, in a table as they are `shown` to a person.

    `typer.BadParameter` for a file that is there already or cannot be made.
    """
    rows = [shown(row) for row in rows] if form is Form.table else rows
    if output is None:
        if form is Form.table:
            Console(markup=False, emoji=False).print(_table(rows))
        else:
            sys.stdout.write(_text(rows, form))
        return
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            file.write(_text(rows, form))
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}") from None


def _text(rows: Rows, form: Form) -> str:
    if form is Form.json:
        return json.dumps(rows, indent=2) + "\n"
    text = io.StringIO()
    if form is Form.table:
        Console(file=text, width=FILE_COLUMNS, markup=False, emoji=False).print(_table(rows))
    else:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _table(rows: Rows) -> Table:
    table = Table()
    for name in rows[0] if rows else [NOTHING]:
        table.add_column(name, justify="right" if name in MONEY else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row.values()))
    return table
