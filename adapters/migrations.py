"""Numbered SQL migrations: `0001_name.up.sql` with its `0001_name.down.sql`, applied in order.

What was applied stands in `<schema>.applied_migrations` with the digest of its text: a migration that
was edited afterwards is an error, as is a database that is ahead of the code. Each migration runs in a
transaction of its own together with its line in that table, under an advisory lock, so that two services
that start together do not migrate twice.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Final

import asyncpg

_FILE_NAME = re.compile(r"(?P<version>[0-9]{4})_(?P<name>[a-z0-9_]+)\.(?P<way>up|down)\.sql")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_LOCK: Final = 0x746F6C6C  # any number that nobody else locks; one for all schemas of a database


class MigrationError(RuntimeError):
    """The folder is not in order, or the database was not made by these migrations."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema and the way back."""

    version: int
    name: str
    up: str
    down: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the `up` text, in hex."""
        return hashlib.sha256(self.up.encode()).hexdigest()


def read(folder: Traversable) -> tuple[Migration, ...]:
    """The migrations of a folder, in order; versions begin at 1 and leave no gap."""
    texts: dict[tuple[int, str], dict[str, str]] = {}
    for entry in folder.iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None:
            raise MigrationError(f"{entry.name}: not named NNNN_name.up.sql or NNNN_name.down.sql")
        step = texts.setdefault((int(match["version"]), match["name"]), {})
        step[match["way"]] = entry.read_text("utf-8")
    migrations = tuple(
        Migration(version, name, step.get("up", ""), step.get("down", ""))
        for (version, name), step in sorted(texts.items())
    )
    for expected, migration in enumerate(migrations, start=1):
        if migration.version != expected:
            raise MigrationError(f"migration {expected:04d} is missing or stands twice")
        if not (migration.up and migration.down):
            raise MigrationError(f"{expected:04d}_{migration.name} needs both an up and a down file")
    return migrations


async def upgrade(
    connection: asyncpg.Connection, migrations: Sequence[Migration], schema: str
) -> tuple[int, ...]:
    """Apply what is missing and say which versions that were. The connection's role owns the schema."""
    await _prepare(connection, schema)
    applied = []
    for migration in migrations:
        async with connection.transaction():
            if migration.version in await _applied(connection, migrations, schema):
                continue
            await connection.execute(migration.up)
            await connection.execute(
                f"INSERT INTO {schema}.applied_migrations (version, name, checksum) VALUES ($1, $2, $3)",  # noqa: S608 - the schema is checked in _prepare
                migration.version,
                migration.name,
                migration.checksum,
            )
            applied.append(migration.version)
    return tuple(applied)


async def downgrade(
    connection: asyncpg.Connection, migrations: Sequence[Migration], schema: str, to_version: int
) -> tuple[int, ...]:
    """Take back what is above `to_version`, newest first, and say which versions that were."""
    await _prepare(connection, schema)
    reverted = []
    for migration in reversed(migrations):
        if migration.version <= to_version:
            break
        async with connection.transaction():
            if migration.version not in await _applied(connection, migrations, schema):
                continue
            await connection.execute(migration.down)
            await connection.execute(
                f"DELETE FROM {schema}.applied_migrations WHERE version = $1",  # noqa: S608 - as above
                migration.version,
            )
            reverted.append(migration.version)
    return tuple(reverted)


async def _prepare(connection: asyncpg.Connection, schema: str) -> None:
    if not _IDENTIFIER.fullmatch(schema):
        raise MigrationError(f"{schema!r} is not the name of a schema")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(
            f"""
            CREATE SCHEMA IF NOT EXISTS {schema};
            CREATE TABLE IF NOT EXISTS {schema}.applied_migrations (
                version integer PRIMARY KEY,
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
            )
            """
        )


async def _applied(
    connection: asyncpg.Connection, migrations: Sequence[Migration], schema: str
) -> frozenset[int]:
    """The versions that the database has, each compared with the code's; holds the lock until commit."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    rows = await connection.fetch(f"SELECT version, checksum FROM {schema}.applied_migrations")  # noqa: S608 - as above
    known = {migration.version: migration for migration in migrations}
    for version, checksum in rows:
        if version not in known:
            raise MigrationError(f"the database has {schema} migration {version:04d}, which is unknown here")
        if known[version].checksum != checksum:
            raise MigrationError(f"{schema} migration {version:04d} was changed after it was applied")
    return frozenset(version for version, _ in rows)
