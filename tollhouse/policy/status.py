"""`tollhouse policy status`: which policy the running stack judges by, asked of OPA itself."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import requests
import typer
from opa_client import OpaClient
from opa_client.errors import PolicyNotFoundError
from rich.console import Console
from rich.table import Table

from tollhouse.failure import fail
from tollhouse.local.folders import data_folder
from tollhouse.local.ready_file import NoStack, running
from tollhouse.local.secrets import Secrets
from tollhouse.policy.budgets import WINDOWS

ANSWER_WITHIN_S = 5.0

Data = Annotated[
    Path | None, typer.Option(envvar="TOLLHOUSE_DATA", help="The data folder of a running stack.")
]


def status(data: Data = None) -> None:
    """Say which policy the running stack judges by: version, revision, what each role may do and spend."""
    policy, roles = _ask(data or data_folder())
    typer.echo(f"version {policy['version']}, revision {policy['revision']}, {policy['currency']}")
    console = Console(highlight=False)
    tools = [(name, len(role["tools"]), len(role["patterns"])) for name, role in sorted(roles.items())]
    console.print(_table(("role", "tools", "patterns"), tools))
    console.print(_table(("budget, cents", *WINDOWS), budgets(policy, roles)))


def budgets(policy: dict[str, Any], roles: dict[str, Any]) -> list[tuple[str, ...]]:
    """Whose budgets there are, the widest first, with the limit of each window."""
    parts = [("tenant", "tenant", policy), ("each workflow", "workflow", policy)]
    for name, role in sorted(roles.items()):
        parts += [(f"role {name}", "role", role), (f"each agent of {name}", "agent", role)]
    return [
        (whose, *(str(limits.get(window, "none")) for window in WINDOWS))
        for whose, scope, part in parts
        if (limits := _limits(part, scope))
    ]


def _limits(part: dict[str, Any], scope: str) -> dict[str, int]:
    """The limits of one scope by their windows."""
    found = [limit for limit in part.get("budgets", ()) if limit["scope"] == scope]
    return {limit["window"]: limit["limit_cents"] for limit in found}


def _table(columns: Iterable[str], rows: Iterable[tuple[object, ...]]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    for row in rows:
        table.add_row(*map(str, row))
    return table


def _ask(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        url = str(running(folder)["opa"])
    except NoStack as error:
        fail(str(error))
    opa = _client(url, Secrets.load(folder / "secrets.json"))
    try:
        return opa.get_data("gateway/policy")["result"], opa.get_data("gateway/roles")["result"]
    except requests.RequestException:
        fail(f"OPA does not answer at {url}")
    except PolicyNotFoundError as error:
        fail(f"OPA does not say: {error}")
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
