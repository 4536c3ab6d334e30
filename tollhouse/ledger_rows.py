"""Rows as people and programs read them: a table in the terminal, JSON or CSV; on stdout or in a file."""

import csv
import io
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

NOTHING: Final = "nothing was posted yet"
FILE_COLUMNS: Final = 160

Rows = list[dict[str, Any]]


class Form(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"


Written = Annotated[Form, typer.Option("--format", help="How the rows are written.")]
Output = Annotated[
    Path | None, typer.Option(help="Write to this file, which must not be there yet.", show_default="stdout")
]


def write(rows: Rows, form: Form, output: Path | None = None) -> None:
    """Write the rows; `typer.BadParameter` for a file that is there already or cannot be made."""
    if output is None:
        if form is Form.table:
            Console().print(_table(rows))
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
        Console(file=text, width=FILE_COLUMNS).print(_table(rows))
    else:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _table(rows: Rows) -> Table:
    table = Table()
    for name in rows[0] if rows else [NOTHING]:
        numeric = name.endswith("_cents") or name in ("amount", "balance", "debits", "credits")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    return table
