"""Installs the schema `control`; the roles are made beforehand, with those of the whole cluster."""

from importlib.resources import files
from typing import Final

import asyncpg

from adapters.migrations import migrate

SCHEMA: Final = "control"
MIGRATIONS: Final = files("control") / "sql" / "migrations"


async def install(owner_dsn: str) -> None:
    """Bring the schema to its last step; doing it again changes nothing.

    The session must be allowed to become `tollhouse_owner`, and `tollhouse_control` must exist.
    """
    connection = await asyncpg.connect(owner_dsn)
    try:
        await migrate(connection, SCHEMA, MIGRATIONS)
    finally:
        await connection.close()
