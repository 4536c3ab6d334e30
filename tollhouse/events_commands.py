"""`tollhouse events list | replay`: what the stream of events holds, and what of it could not be understood.

Dead letters are what a consumer buried: no valid event, or one that its handler failed on. Replaying one puts
its message back on its own subject, for all consumers, who know an event by its id and keep it once. It is
done with an identity of the bus of its own, whose password no service has.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import orjson
import typer

from adapters.dead_letter import DeadLetter
from adapters.nats import Bus, BusAddress, BusUnavailable
from adapters.telemetry import configure_logging
from tollhouse.events_table import Row, write_table
from tollhouse.failure import fail
from tollhouse.local.folders import data_folder
from tollhouse.local.ready_file import NoStack, running
from tollhouse.local.secrets import Secrets

events_app = typer.Typer(no_args_is_help=True, help="The stream of events, and its dead letters.")

LIMIT_MAX: Final = 1_000
BODY_CHARS_MAX: Final = 200

Result = TypeVar("Result")

Data = Annotated[
    Path | None,
    typer.Option(
        envvar="TOLLHOUSE_DATA", help="The stack's data folder.", show_default="the user's data folder"
    ),
]
Nats = Annotated[
    str | None, typer.Option(help="Where the bus is.", show_default="where the stack in --data has it")
]


@events_app.command("list")
def list_events(
    dead: Annotated[bool, typer.Option("--dead", help="The dead letters instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="How many at most.")] = 50,
    after: Annotated[
        int | None,
        typer.Option(
            help="Only those behind this place, the first of them.",
            show_default="the last events that --limit allows, and dead letters from the first",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    data: Data = None,
    nats: Nats = None,
) -> None:
    """List the latest events, or dead letters; the oldest of those shown comes first.

    A terminal without room for all of it shows the ends of workflows' ids and no ids of events.
    """

    async def read(bus: Bus) -> list[Row]:
        if dead:
            return [_shown(letter) for letter in await _letters(bus, after or 0, limit)]
        return await _events(bus, after, limit)

    _write(_ask(data, nats, read), as_json)


@events_app.command()
def replay(
    letter: Annotated[int | None, typer.Argument(metavar="[ID]", help="A dead letter's id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that lie there now.")] = False,
    data: Data = None,
    nats: Nats = None,
) -> None:
    """Put dead letters back where they came from; exit code 1 where there is none of that id."""
    if (letter is None) is not every:
        raise typer.BadParameter("name one ID, or --all")

    async def play(bus: Bus) -> list[DeadLetter]:
        if letter is None:
            found = await _letters(bus, 0, None)
        else:
            found = [kept for kept in await _letters(bus, letter - 1, 1) if kept.id == letter]
        for kept in found:
            await bus.replay(kept)
        return found

    played = _ask(data, nats, play)
    for kept in played:
        typer.echo(f"replayed {kept.id} {kept.subject}")
    if letter is not None and not played:
        fail(f"there is no dead letter {letter}")


async def _letters(bus: Bus, after: int, limit: int | None) -> list[DeadLetter]:
    """The letters behind a place; what is buried meanwhile is left for the next time."""
    found: list[DeadLetter] = []
    while (limit is None or len(found) < limit) and (kept := await bus.letter(after)):
        found.append(kept)
        after = kept.id
    return found


async def _events(bus: Bus, after: int | None, limit: int) -> list[Row]:
    if after is None:
        after = max(0, (await bus.position()).last_seq - limit)
    rows: list[Row] = []
    while len(rows) < limit and (kept := await bus.kept(after)):
        after, body = kept
        rows.append({"place": after, **_event(body)})
    return rows


def _event(body: bytes) -> Row:
    """What a row of the list says of an event; a message that is none shows its beginning."""
    try:
        event = orjson.loads(body)
        return {
            "at": event["occurred_at"],
            "type": event["event_type"],
            "tenant": event["tenant"],
            "workflow_id": event["workflow_id"],
            "event_id": event["event_id"],
        }
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {"at": "", "type": f"no event: {_text(body)}", "tenant": "", "workflow_id": "", "event_id": ""}


def _shown(letter: DeadLetter) -> Row:
    return {
        "id": letter.id,
        "at": letter.at.isoformat(timespec="seconds"),
        "consumer": letter.consumer,
        "subject": letter.subject,
        "reason": letter.reason,
        "body": _text(letter.data),
    }


def _text(body: bytes) -> str:
    return body[:BODY_CHARS_MAX].decode("utf-8", "replace")


def _ask(data: Path | None, nats: str | None, work: Callable[[Bus], Awaitable[Result]]) -> Result:
    folder = data or data_folder()
    configure_logging("events", "error")

    async def run() -> Result:
        bus = await Bus.connect(_address(folder, nats))
        try:
            return await work(bus)
        finally:
            await bus.close()

    try:
        return asyncio.run(run())
    except BusUnavailable as gone:
        fail(f"the bus cannot be asked: {gone}")


def _address(folder: Path, nats: str | None) -> BusAddress:
    try:
        url = urlsplit(nats or str(running(folder)["nats"]))
    except NoStack as error:
        fail(str(error))
    secrets = folder / "secrets.json"
    if not secrets.exists():
        fail(f"there is no stack: {secrets} is not there (--data DIR says which)")
    password = Secrets.load(secrets).bus.get("replayer", "")
    return BusAddress(f"nats://{url.hostname}:{url.port}", "replayer", password)


def _write(rows: list[Row], as_json: bool) -> None:
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        write_table(rows)
