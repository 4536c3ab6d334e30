"""The command line, as people use it. What a command needs is imported when it runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tollhouse import __version__, services
from tollhouse.local.folders import data_folder

CONFIG = Path("tollhouse.yaml")

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="TOLLHOUSE_DATA",
        help="The stack's data folder.",
        show_default="the user's data folder",
    ),
]


def build() -> typer.Typer:
    """The whole command line."""
    from tollhouse.demo.command import demo
    from tollhouse.events_commands import events_app
    from tollhouse.ledger_commands import ledger_app
    from tollhouse.policy.commands import policy_app

    app = typer.Typer(
        help="A policy gateway and treasury for AI agents.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_root)
    app.command()(demo)
    app.command()(up)
    app.add_typer(_keys(), name="key", help="API keys of agents.")
    app.add_typer(policy_app, name="policy")
    app.add_typer(ledger_app, name="ledger")
    app.add_typer(events_app, name="events")
    app.command()(doctor)
    for name in services.SERVICES:
        app.command(name, help=f"One service alone, configured by TOLLHOUSE_{name.upper()}_… variables.")(
            _runner(name)
        )
    return app


def up(
    config: Annotated[
        Path, typer.Option("--config", help="What the stack is made of.", dir_okay=False)
    ] = CONFIG,
    data: Data = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON line when ready, and one for each thing that happens."),
    ] = False,
    no_restart: Annotated[
        bool, typer.Option("--no-restart", help="Leave what dies dead, and say so.")
    ] = False,
) -> None:
    """Run the whole stack in the foreground, on loopback, until Ctrl-C or SIGTERM."""
    from tollhouse.local.up import run

    raise typer.Exit(run(config, data or data_folder(), as_json=as_json, restart=not no_restart))


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="What the stack is made of.", dir_okay=False, show_default="tollhouse.yaml"
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Say what is missing or wrong on this machine, and how to mend it; exit code 1 where anything is.

    Looks at the configuration too, its policy and ports, where there is one.
    """
    from tollhouse.doctor import examine

    raise typer.Exit(examine(config, CONFIG, data or data_folder()))


def _keys() -> typer.Typer:
    app = typer.Typer(no_args_is_help=True)
    app.callback()(lambda: None)
    app.command("create")(create_key)
    return app


def create_key(
    agent: Annotated[str, typer.Option(help="The agent that the key is for.")],
    role: Annotated[str, typer.Option(help="The role that policy knows it by.")],
    tenant: Annotated[str | None, typer.Option(help="Its tenant.", show_default="the stack's own")] = None,
    data: Data = None,
) -> None:
    """Make an API key for an agent and print it once, as the last word. Only its hash is kept."""
    from tollhouse.keys import create

    raise typer.Exit(create(data or data_folder(), agent, role, tenant))


def _runner(name: str) -> Callable[[], None]:
    def run() -> None:
        raise typer.Exit(services.run(name))

    return run


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tollhouse {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Options of the program itself."""
