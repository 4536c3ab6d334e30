"""Migrations: numbered plain SQL, forward and back.

A folder holds pairs `0001_name.up.sql` and `0001_name.down.sql`. What was applied stands in
`<schema>.migrations`, with the digest of the file: a migration that was changed after it was applied
is refused, never applied half. Each step is one database transaction, run as `tollhouse_owner`.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Final

from adapters.postgres import Connection

OWNER: Final = "tollhouse_owner"
_FILE_NAME = re.compile(r"(?P<version>[0-9]{4})_(?P<name>[a-z0-9_]+)\.up\.sql")


class MigrationRefused(Exception):
    """The folder and the database tell different histories; the message says where."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: `up` makes it, `down` takes it back."""

    version: int
    name: str
    up: str
    down: str

    @property
    def sha256(self) -> str:
        """The digest of the way up, in lower-case hex."""
        return hashlib.sha256(self.up.encode()).hexdigest()


def load(folder: Traversable) -> list[Migration]:
    """The steps in a folder, in the order of their numbers, which begin at 1; a number may be left out."""
    steps = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        match = _FILE_NAME.fullmatch(entry.name)
        if match:
            down = folder / entry.name.replace(".up.sql", ".down.sql")
            up_text, down_text = entry.read_text("utf-8"), down.read_text("utf-8")
            steps.append(Migration(int(match["version"]), match["name"], up_text, down_text))
    versions = [step.version for step in steps]
    if versions[:1] != [1] or len(set(versions)) != len(versions):
        raise MigrationRefused(f"the numbers in {folder} do not begin at 1, or one stands twice")
    return steps


async def migrate(connection: Connection, schema: str, folder: Traversable, to: int | None = None) -> int:
    """Bring `schema` to step `to` (the last one by default), forward or back; returns the step reached.

    The session must be allowed to become `tollhouse_owner`. Running it again changes nothing. Raises
    `MigrationRefused` when an applied step is missing from the folder, differs from it, or was applied
    before one that precedes it.
    """
    steps = load(folder)
    target = steps[-1].version if to is None else to
    if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", schema):
        await connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {OWNER}")
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
        await connection.execute(_BOOK.format(schema=schema))
    applied = await connection.fetch(f"SELECT version, sha256 FROM {schema}.migrations ORDER BY version")  # noqa: S608 (a name of ours)
    _refuse_another_history(schema, steps, [(row["version"], row["sha256"]) for row in applied])
    done = len(applied)
    for step in steps[done:]:
        if step.version <= target:
            await _apply(connection, schema, step)
    for step in reversed(steps[:done]):
        if step.version > target:
            await _revert(connection, schema, step)
    return target


def _refuse_another_history(schema: str, steps: list[Migration], applied: list[tuple[int, str]]) -> None:
    told = [(step.version, step.sha256) for step in steps[: len(applied)]]
    for position, step in enumerate(applied):
        if told[position : position + 1] != [step]:
            raise MigrationRefused(f"step {step[0]} of {schema} was applied from another file")


async def _apply(connection: Connection, schema: str, step: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
        await connection.execute(step.up)
        await connection.execute(
            f"INSERT INTO {schema}.migrations (version, name, sha256) VALUES ($1, $2, $3)",  # noqa: S608 (as above)
            step.version,
            step.name,
            step.sha256,
        )


async def _revert(connection: Connection, schema: str, step: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
        await connection.execute(step.down)
        await connection.execute(f"DELETE FROM {schema}.migrations WHERE version = $1", step.version)  # noqa: S608 (as above)


_BOOK: Final = """
CREATE TABLE IF NOT EXISTS {schema}.migrations (
    version integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (version)
)
"""
