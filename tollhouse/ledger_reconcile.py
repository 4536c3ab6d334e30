"""`tollhouse ledger reconcile | resolve`: a provider's statement, and what is done about its breaks."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tollhouse.ledger_source import Data
from tollhouse.ledger_treasury import ask_treasury
from treasury.core.money import major
from treasury.core.resolution import Action
from treasury.edge.statement_files import StatementFile, StatementUnreadable, read_statement

BYTES_MAX: Final = 64 * 1024 * 1024
LINES_MAX: Final = 20_000

Times = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="In UTC.", show_default="by the lines"),
]


def reconcile(
    file: Annotated[Path, typer.Argument(help="CSV or JSON, our columns or Stripe's.", dir_okay=False)],
    provider: Annotated[str, typer.Option(help="Whose statement it is: the payee, or its account.")],
    since: Times = None,
    until: Times = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the treasury's answer.")] = False,
) -> None:
    """Hold a provider's statement against the ledger. Exit code 1 where a row is bad or a break is open."""
    found = _read(file)
    if found.faults:
        _refuse(file, found)
    body: dict[str, Any] = {"provider": provider, "lines": found.lines}
    body |= {
        name: f"{at.isoformat()}Z" for name, at in (("since", since), ("until", until)) if at is not None
    }
    answer = ask_treasury(data, "POST", "/v1/reconciliations", body=body)
    _tell(answer, found, as_json)
    if any(item["status"] == "open" for item in answer["breaks"]):
        raise typer.Exit(1)


def resolve(
    reconciliation: str,
    broken: Annotated[str, typer.Argument(metavar="BREAK", help="The id of the break.")],
    action: Annotated[Action, typer.Argument(help="What is done about it.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    data: Data = None,
) -> None:
    """Resolve a break, by compensating entries where the books were wrong."""
    path = f"/v1/reconciliations/{reconciliation}/breaks/{broken}/resolve"
    answer = ask_treasury(data, "POST", path, body={"action": action, "note": note})
    entries = ", ".join(answer["journal_entry_ids"] or []) or "none"
    typer.echo(f"{answer['kind']} of {answer['reference']}: {answer['action']}. Entries: {entries}")


def _read(file: Path) -> StatementFile:
    try:
        if file.stat().st_size > BYTES_MAX:
            raise typer.BadParameter(f"{file} has more than {BYTES_MAX} bytes")
        return read_statement(file.read_bytes(), LINES_MAX)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from None
    except StatementUnreadable as error:
        raise typer.BadParameter(f"{file} is no statement: {error}") from None


def _refuse(file: Path, found: StatementFile) -> None:
    """Name every bad row, keep the good ones apart, import nothing."""
    for fault in found.faults:
        column = f" {fault.column}:" if fault.column else ""
        typer.echo(f"{file}:{fault.line}:{column} {fault.message}", err=True)
    kept = file.with_name(f"{file.name}.good.json")
    kept.write_text(json.dumps({"lines": found.lines}, indent=1) + "\n", "utf-8")
    typer.echo(
        f"Nothing was imported: {len(found.faults)} rows are bad. The {len(found.lines)} good ones are kept "
        f"apart in {kept}.",
        err=True,
    )
    raise typer.Exit(1)


def _tell(answer: dict[str, Any], found: StatementFile, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    typer.echo(
        f"Reconciliation {answer['id']} with {answer['provider']}: {answer['matched']} lines matched "
        f"({answer['settled']} told an unknown outcome), {answer['repeated']} known from before, "
        f"{len(answer['breaks'])} breaks."
    )
    for kind, count in sorted(found.passed_over.items()):
        typer.echo(f"passed over: {count} of type {kind}")
    for broken in answer["breaks"]:
        typer.echo(_told(broken))


def _told(broken: dict[str, Any]) -> str:
    """A break in two lines: what it is, and the ids that one needs to resolve it."""
    place = f"line {broken['line']}, " if broken["line"] else ""
    amount = f"{major(broken['amount_cents'], broken['currency'])} {broken['currency']}"
    ledger = f", the ledger has {broken['ledger_cents']} minor units" if broken["ledger_cents"] else ""
    hold = f", hold {broken['hold_id']}" if broken["hold_id"] else ""
    state = broken["status"] if broken["status"] == "open" else f"resolved: {broken['action']}"
    what = f"{broken['kind']}: {place}{broken['reference']}, {amount}{ledger} ({state})"
    return f"  {what}\n    break {broken['id']}{hold}"
