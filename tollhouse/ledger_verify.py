"""What `ledger verify` found, told to a person."""

import typer
from rich.console import Console

from treasury.edge.verify import CHECKS, Difference


def tell(found: list[Difference]) -> None:
    """Each check with its first difference; exit code 1 where there is one."""
    differences = {difference.check: difference for difference in found}
    console = Console(emoji=False)
    for check, what in CHECKS.items():
        difference = differences.get(check)
        if difference is None:
            console.print(f"[green]ok[/]    {what}", highlight=False)
            continue
        console.print(f"[red]wrong[/] {what}", highlight=False)
        place = f"      tenant {difference.tenant}, {check} {difference.place}:"
        told = f"expected {difference.expected}, found {difference.found}"
        console.print(f"{place} {told}", highlight=False, markup=False)
    if differences:
        raise typer.Exit(1)
    console.print("The ledger is sound.", highlight=False)
