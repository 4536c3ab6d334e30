"""How a command says that it did not work, though it was called rightly."""

from typing import NoReturn

import typer

EXIT_FAILED = 1


def fail(why: str) -> NoReturn:
    """Say why on stderr, in one piece for people and for `grep`, and end with exit code 1."""
    typer.echo(why, err=True)
    raise typer.Exit(EXIT_FAILED)
