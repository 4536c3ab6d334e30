"""Where the commands of the ledger find it: the running stack of a data folder, or a connection string."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

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
    """What `work` finds out in one session; `typer.BadParameter` where the ledger cannot be reached."""

    async def run() -> Result:
        connection = await asyncpg.connect(dsn or str(ready(data)["postgres"]))
        try:
            return await work(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(run())
    except (OSError, asyncpg.PostgresError) as error:
        raise typer.BadParameter(f"the ledger cannot be reached: {error}") from None


def ready(data: Path | None) -> dict[str, Any]:
    """The ready line of the stack that runs on this data folder; `typer.BadParameter` where none does."""
    try:
        return running(data or data_folder())
    except NoStack as error:
        raise typer.BadParameter(f"{error}, or --dsn") from None
