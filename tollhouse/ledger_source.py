"""Where the commands of the ledger find it: the running stack of a data folder, or a connection string."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from tollhouse.failure import fail
from tollhouse.local.folders import data_folder
from tollhouse.local.ready_file import NoStack, running

Result = TypeVar("Result")

Data = Annotated[
    Path | None, typer.Option(envvar="TOLLHOUSE_DATA", help="The data folder of a running stack.")
]
Dsn = Annotated[str | None, typer.Option(help="PostgreSQL's connection string, instead of --data.")]
Tenant = Annotated[str | None, typer.Option(help="One tenant alone.")]


def ask(
    data: Path | None, dsn: str | None, work: Callable[[asyncpg.Connection], Awaitable[Result]]
) -> Result:
    """What `work` finds out in one session; exit code 1 where the ledger cannot be reached."""

    async def run() -> Result:
        connection = await asyncpg.connect(dsn or str(ready(data, or_dsn=True)["postgres"]))
        try:
            return await work(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(run())
    except (OSError, asyncpg.PostgresError) as error:
        fail(f"the ledger cannot be reached: {error}")


def ready(data: Path | None, *, or_dsn: bool = False) -> dict[str, Any]:
    """The ready line of the stack that runs on this data folder; exit code 1 where none does.

    `or_dsn`: the command could be told where the ledger is instead.
    """
    try:
        return running(data or data_folder())
    except NoStack as error:
        fail(f"{error}{', or the ledger with --dsn' if or_dsn else ''}")
