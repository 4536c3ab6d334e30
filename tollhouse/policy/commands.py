"""`tollhouse policy`: what an author of policy runs. Exit code 1 means that the policy is not usable."""

from pathlib import Path
from typing import Annotated

import typer

from tollhouse.policy.compile import build_bundle, compile_policy
from tollhouse.policy.reader import review
from tollhouse.policy.revision import NotABundle
from tollhouse.policy.status import status
from tollhouse.problems import DocumentError

policy_app = typer.Typer(
    name="policy", help="Check and build a policy, and say which one is in force.", no_args_is_help=True
)


@policy_app.callback()
def policy() -> None:
    """Check and build a policy, and say which one is in force."""


@policy_app.command()
def check(file: Annotated[Path, typer.Argument(help="a policy document")]) -> None:
    """Say all that is wrong with a policy document, each with its line and column."""
    try:
        document, warnings = review(file)
    except DocumentError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    _, revision = compile_policy(document)
    told = f"version {revision.version}, {len(document.roles)} roles, revision {revision.revision}"
    typer.echo(f"{file}: {told}")


@policy_app.command()
def build(
    file: Annotated[Path, typer.Argument(help="a policy document, or a folder of Rego")],
    output: Annotated[Path, typer.Option("--output", help="the folder to write the bundle to")],
) -> None:
    """Compile a policy to the bundle that OPA loads. Equal policies give equal bytes."""
    try:
        revision = build_bundle(file, output)
    except (DocumentError, NotABundle) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{output}: revision {revision.revision}")


policy_app.command()(status)
