"""Events and dead letters as rows: whole where there is room, and shorter where a terminal has less.

A shorter row leaves out what its place leads to again (`--after`, `--json`): an event's id, the date's
fractions, the beginning of a workflow's id, which is only its time. A dead letter then takes some lines.
"""

import os
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

Row = dict[str, Any]

NOTHING: Final = "nothing is there"
ID_END_CHARS: Final = 12
COLUMNS_MAX: Final = 10_000


def write_table(rows: list[Row]) -> None:
    """Print the rows; to a file or a pipe always whole, one row a line."""
    rows = [{name: _printable(str(value)) for name, value in row.items()} for row in rows]
    console = Console(markup=False, highlight=False, emoji=False)
    whole = _table(rows)
    needed = console.measure(whole, options=console.options.update(max_width=COLUMNS_MAX)).maximum
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = needed
    console.print(whole if needed <= console.width else _shorter(rows), soft_wrap=False)


def _shorter(rows: list[Row]) -> RenderableType:
    if not rows:
        return Text(NOTHING)
    if "reason" in rows[0]:
        return Group(*(line for row in rows for line in _letter(row)))
    return _table([_event(row) for row in rows])


def _event(row: Row) -> Row:
    workflow = row["workflow_id"]
    shown = f"…{workflow[-ID_END_CHARS:]}" if len(workflow) > ID_END_CHARS else workflow
    rest = {"type": row["type"], "tenant": row["tenant"], "workflow": shown}
    return {"place": row["place"], "at (UTC)": _second(row["at"])} | rest


def _letter(row: Row) -> list[RenderableType]:
    about = f"{row['id']}  {_second(row['at'])}  {row['consumer']}  {row['subject']}"
    body = Text(f"  body: {row['body']}", no_wrap=True, overflow="ellipsis")
    return [Text(about), Text(f"  reason: {row['reason']}"), body]


def _second(at: str) -> str:
    return at[:19].replace("T", " ")


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in rows[0] if rows else [NOTHING]:
        table.add_column(name, overflow="fold", justify="right" if name in {"place", "id"} else "left")
    for row in rows:
        table.add_row(*row.values())
    return table


def _printable(text: str) -> str:
    """Without what would command the terminal: agents chose some of these words."""
    return "".join(character if character.isprintable() else "?" for character in text)
