"""`tollhouse policy status`: which policy the running stack judges by, asked of OPA itself."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import requests
import typer
from opa_client import OpaClient
from opa_client.errors import PolicyNotFoundError
from rich.console import Console
from rich.table import Table

from tollhouse.local.folders import data_folder
from tollhouse.local.ready_file import NoStack, running
from tollhouse.local.secrets import Secrets

ANSWER_WITHIN_S = 5.0

Data = Annotated[
    Path | None, typer.Option(envvar="TOLLHOUSE_DATA", help="The data folder of a running stack.")
]


def status(data: Data = None) -> None:
    """Say which policy the running stack judges by: version, revision, and what each role may do."""
    policy, roles = _ask(data or data_folder())
    typer.echo(f"version {policy['version']}, revision {policy['revision']}, {policy['currency']}")
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for column in ("role", "tools", "patterns", "daily cents"):
        table.add_column(column, justify="left" if column == "role" else "right")
    for name, role in sorted(roles.items()):
        budget = role.get("daily_budget_cents")
        table.add_row(
            name,
            str(len(role["tools"])),
            str(len(role["patterns"])),
            "none" if budget is None else str(budget),
        )
    Console(highlight=False).print(table)


def _ask(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        url = str(running(folder)["opa"])
    except NoStack as error:
        raise typer.BadParameter(str(error)) from None
    opa = _client(url, Secrets.load(folder / "secrets.json"))
    try:
        return opa.get_data("gateway/policy")["result"], opa.get_data("gateway/roles")["result"]
    except requests.RequestException:
        raise typer.BadParameter(f"OPA does not answer at {url}") from None
    except PolicyNotFoundError as error:
        raise typer.BadParameter(f"OPA does not say: {error}") from None
    finally:
        opa.close_connection()


def _client(url: str, secrets: Secrets) -> OpaClient:
    address = urlsplit(url)
    return OpaClient(
        host=address.hostname or "127.0.0.1",
        port=address.port or 0,
        token=secrets.token("opa.operator"),
        retries=0,
        timeout=ANSWER_WITHIN_S,
    )
