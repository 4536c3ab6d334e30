"""`tollhouse ledger backup | restore`: the whole ledger in one file, and back, verified at the end.

A ledger is restored beside the one that is there, which goes only when the restored one is sound. A stack
that runs is not restored into: its services would go on with what they remember.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer

from adapters.migrations import MigrationRefused, migrate
from tollhouse.failure import fail
from tollhouse.ledger_source import Data, ask, ready
from tollhouse.ledger_verify import tell
from tollhouse.local.child import StartFailed
from tollhouse.local.data import DataFolder, Lock
from tollhouse.local.dump import DumpFailed, FileUnusable, dump
from tollhouse.local.dump import restore as bring_back
from tollhouse.local.folders import data_folder
from tollhouse.local.ports import free_port
from tollhouse.local.postgres import Postgres
from tollhouse.local.secrets import Secrets
from tollhouse.local.stack import install
from tollhouse.local.wiring import DATABASE
from treasury.edge.migrate import MIGRATIONS, ROLES, SCHEMA
from treasury.edge.verify import Difference, verify

REPLACED: Final = "treasury_replaced"
READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 30.0

File = Annotated[Path, typer.Argument(help="The file of the backup.", dir_okay=False)]
AdminDsn = Annotated[
    str | None, typer.Option(help="The administrator's connection string, instead of --data.")
]


def backup(file: File, data: Data = None, dsn: AdminDsn = None) -> None:
    """Write the whole ledger to FILE, which must not be there yet; then verify what was written from."""
    admin = dsn or str(ready(data, or_dsn=True)["postgres_admin"])
    try:
        dump(admin, SCHEMA, file)
    except FileUnusable as error:
        raise typer.BadParameter(str(error)) from None
    except DumpFailed as error:
        fail(f"nothing was backed up: {error}")
    typer.echo(f"{file}: {file.stat().st_size} bytes.")
    tell(ask(None, admin, verify))


def restore(
    file: File,
    data: Data = None,
    dsn: AdminDsn = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a ledger that is not empty.")] = False,
) -> None:
    """Bring a ledger back from FILE, to the last step of its schema, and verify it.

    Exit code 1 where nothing was restored, and the ledger is as it was; or where what was restored is not
    sound: the ledger that was there is then kept beside it.
    """
    if not file.is_file():
        raise typer.BadParameter(f"{file} is not there")
    try:
        if dsn:
            found = asyncio.run(_replace(dsn, file, force))
        else:
            with _stopped_stack(data) as admin:
                found = asyncio.run(_replace(admin, file, force))
    except (DumpFailed, StartFailed, MigrationRefused, OSError, asyncpg.PostgresError) as error:
        fail(f"nothing was restored: {error}")
    tell(found)


@contextmanager
def _stopped_stack(data: Path | None) -> Iterator[str]:
    """PostgreSQL alone of a stack that does not run, with database, roles and schema; its administrator."""
    folder = DataFolder.open(data or data_folder())
    with Lock(folder / "lock"):
        secrets = Secrets.load(folder / "secrets.json")
        server = Postgres(folder.folder("postgres"), folder.log("postgres"), free_port(), secrets.superuser)
        child = server.prepare()
        child.start()
        try:
            child.wait_until(server.is_ready, READY_WITHIN_S)
            asyncio.run(install(server, {role: secrets.password(role) for role in ROLES}))
            secrets.save(folder / "secrets.json")
            yield server.dsn(database=DATABASE)
        finally:
            child.stop(STOP_WITHIN_S)


async def _replace(admin: str, file: Path, force: bool) -> list[Difference]:
    connection = await asyncpg.connect(admin)
    try:
        was_there = await _put_aside(connection, force)
        try:
            await asyncio.to_thread(bring_back, admin, file)
            await migrate(connection, SCHEMA, MIGRATIONS)
            await connection.execute("ANALYZE")
        except BaseException:
            await _put_back(connection, was_there)
            raise
        found = await verify(connection)
        if not found:
            await connection.execute(f"DROP SCHEMA IF EXISTS {REPLACED} CASCADE")
        return found
    finally:
        await connection.close()


async def _put_aside(connection: asyncpg.Connection, force: bool) -> bool:
    """Rename the ledger that is there, if there is one; `DumpFailed` where it may not be replaced."""
    missing = set(ROLES) - {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    if missing:
        raise DumpFailed(f"this server has no roles {', '.join(sorted(missing))}: start a stack on it first")
    if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", SCHEMA):
        return False
    if not force and await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.workflows)"):  # noqa: S608 (a name of ours)
        raise DumpFailed("there is a ledger with entries already; --force replaces it")
    await connection.execute(f"DROP SCHEMA IF EXISTS {REPLACED} CASCADE")
    await connection.execute(f"ALTER SCHEMA {SCHEMA} RENAME TO {REPLACED}")
    return True


async def _put_back(connection: asyncpg.Connection, was_there: bool) -> None:
    await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    if was_there:
        await connection.execute(f"ALTER SCHEMA {REPLACED} RENAME TO {SCHEMA}")
