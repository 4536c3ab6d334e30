"""The pages of the reference that are made from the code: events.md, commands.md and states.md.

`python docs/generate.py` writes them. With `--check` nothing is written; the exit code says whether they are
what the code says.
"""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

from typer.core import TyperArgument, TyperGroup
from typer.main import get_command

ROOT: Final = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from schemas.events.registry import SCHEMAS  # noqa: E402 - the checkout comes first
from tollhouse.commands import build  # noqa: E402
from tollhouse.services import SERVICES  # noqa: E402
from treasury.core.authorization import AUTHORIZATION, HOLD  # noqa: E402
from treasury.core.intent import INTENT  # noqa: E402
from treasury.core.lifecycle import UNBORN, Lifecycle  # noqa: E402
from treasury.core.resolution import BREAK  # noqa: E402
from treasury.core.workflow import WORKFLOW  # noqa: E402

REFERENCE: Final = ROOT / "docs" / "reference"
COMMON: Final = "urn:tollhouse:schema:common:1#/$defs/"
SHORT: Final = {
    "identifier": "id",
    "uuid": "UUID",
    "name": "string",
    "text": "string",
    "sha256": "SHA-256 in hex",
}
METAVARS: Final = {Path: "PATH", datetime: "DATETIME", int: "INTEGER"}
MADE: Final = "Made from the code by `python docs/generate.py`; a test fails when the two differ."

EVENTS: Final = f"""\
# Events

{MADE}

Every event has the same envelope. It is published on the NATS subject that is its type, in the JetStream
stream `TOLLHOUSE_EVENTS`, with its `event_id` as message id, so that a repetition is dropped, and with the
attributes of CloudEvents 1.0 as `ce-` headers. Nothing is emitted or believed that does not hold under its
schema in `schemas/events/`; a member that no schema names is refused. A published schema never changes in a
way that breaks what was valid or relied on: such a change gets the next version.
"""
COMMANDS: Final = f"""\
# Commands

{MADE}

`tollhouse COMMAND --help` says the same. Commands that need a running stack find it by its data folder. Exit
code 0 means that it worked, 1 that it did not, 2 that it was called or configured wrongly. A command that a
signal ended before its work was done has 128 and the signal's number: 130 after Ctrl-C, 143 after SIGTERM,
129 after the end of its terminal. Asked so to stop, `tollhouse up` ends with 0 once it was up, and with that
number before.
"""

STATES: Final = f"""\
# States

{MADE}

What money goes through, and what is around it. Each drawing is one table: `treasury/core/` steps by it, and
the database has the same rows (`treasury.transitions`) and refuses every other step, whoever asks. What makes
a step is told in [the architecture](../architecture.md#the-path-of-money).
"""
TABLES: Final = (
    (INTENT, "A declared spend. It stands where its latest authorization stands."),
    (AUTHORIZATION, "Policy's word on a spend, and a person's where policy asks for one."),
    (HOLD, "The money that an authorization keeps apart until it is paid or free again."),
    (WORKFLOW, "What belongs together and may be stopped together. It spends only while it is active."),
    (BREAK, "A line of a provider's statement and our books that do not agree."),
)


def events() -> str:
    """The page of events: the envelope, then each type with the fields of its payload."""
    parts = [EVENTS, "## The envelope\n", *_fields(SCHEMAS["envelope.v1.json"])]
    for name, schema in sorted(SCHEMAS.items()):
        event_type, version, _ = name.rsplit(".", 2)
        if "." in event_type:
            parts += [f"\n## {event_type}\n", f"Version {version[1:]}. {schema['description']}\n"]
            parts += _fields(schema)
    return "\n".join(parts) + "\n"


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    yield "| field | what it is |"
    yield "|---|---|"
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        yield f"| `{name}` | {_kind(field)}{'' if name in required else '; may be absent'} |"


def _kind(field: dict[str, Any]) -> str:
    """One field in words."""
    if "$ref" in field:
        name = field["$ref"].removeprefix(COMMON)
        return SHORT.get(name) or _kind(SCHEMAS["common.v1.json"]["$defs"][name])
    kind, said = _type(field), field.get("description")
    return f"{kind}: {said}" if said else kind


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(choice) for choice in field["anyOf"])
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type", "any value")
    if kind == "array":
        return f"list of {_kind(field['items'])}"
    if kind == "object" and "properties" in field:
        return "{" + ", ".join(f"`{name}`" for name in field["properties"]) + "}"
    return " or ".join(kind) if isinstance(kind, list) else str(field.get("format", kind))


def commands() -> str:
    """The page of commands: each with its arguments and options."""
    return COMMANDS + "".join(_command("tollhouse", get_command(build())))


def _command(path: str, command: Any) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            if name not in SERVICES:
                yield from _command(f"{path} {name}", inner)
        if path == "tollhouse":
            yield _services(command)
        return
    arguments = [param.name.upper() for param in command.params if isinstance(param, TyperArgument)]
    yield f"\n## {' '.join([path, *arguments])}\n\n{_paragraphs(command.help)}\n"
    options = [param for param in command.params if not isinstance(param, TyperArgument)]
    if options:
        yield "\n| option | what it says |\n|---|---|\n"
        yield from (_option(param) for param in options)


def _services(command: TyperGroup) -> str:
    told = "\n".join(f"| `tollhouse {name}` | {command.commands[name].help} |" for name in SERVICES)
    return f"\n## Services\n\nSee [Settings](settings.md).\n\n| command | what it does |\n|---|---|\n{told}\n"


def _option(param: Any) -> str:
    value = "" if param.is_flag else f" {_value(param.type_descriptor.annotation)}"
    told = [param.help.rstrip(".") + "."]
    if param.required:
        told.append("Required.")
    if param.envvar:
        told.append(f"Or the variable `{param.envvar}`.")
    default = param.show_default if isinstance(param.show_default, str) else param.default
    if default not in (None, False, ""):
        told.append(f"Default: {default.value if isinstance(default, Enum) else default}.")
    return f"| `{'`, `'.join(param.opts)}{value}` | {' '.join(told)} |\n"


def _value(annotation: type) -> str:
    if issubclass(annotation, Enum):
        return " or ".join(member.value for member in annotation)
    return next((word for kind, word in METAVARS.items() if issubclass(annotation, kind)), "TEXT")


def _paragraphs(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def states() -> str:
    """The page of states: one drawing a table."""
    return STATES + "".join(_drawing(table, told) for table, told in TABLES)


def _drawing(table: Lifecycle, told: str) -> str:
    """Mermaid's `[*]` is where something begins, and where it ends."""
    steps = [(old, new) for old, news in table.moves.items() for new in sorted(news)]
    ends = sorted({new for _, new in steps if not table.moves.get(new)})
    arrows = [f"    {'[*]' if old == UNBORN else old} --> {new}\n" for old, new in steps]
    arrows += [f"    {end} --> [*]\n" for end in ends]
    return f"\n## {table.noun}\n\n{told}\n\n```mermaid\nstateDiagram-v2\n{''.join(arrows)}```\n"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "events.md": events,
    "commands.md": commands,
    "states.md": states,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them."""
    made = {REFERENCE / name: page() for name, page in PAGES.items()}
    if "--check" in arguments:
        old = [path for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text]
        sys.stderr.write("".join(f"{path} is not what the code says\n" for path in old))
        return 1 if old else 0
    for path, text in made.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
