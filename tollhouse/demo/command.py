"""`tollhouse demo`."""

import asyncio
from time import monotonic

import typer
from rich.console import Console

from tollhouse.demo.narrator import Narrator
from tollhouse.demo.scene import SceneFailed, opened
from tollhouse.demo.story import Story, StoryDiffers


def demo() -> None:
    """Tell the story of an agent that spends money, with real calls through a real stack.

    Everything runs on this machine, in a temporary folder that is gone afterwards. The exit code is 0
    only if every step had the outcome that it announces.
    """
    console = Console(highlight=False)
    try:
        asyncio.run(_tell(console))
    except StoryDiffers as difference:
        console.print(f"\n[bold red]The story went differently.[/bold red] {difference}", soft_wrap=True)
        raise typer.Exit(1) from None
    except (SceneFailed, TimeoutError) as failure:
        console.print(f"\n[bold red]The stack did not come up or did not answer.[/bold red] {failure}")
        raise typer.Exit(1) from None


async def _tell(console: Console) -> None:
    console.print("[bold]Tollhouse[/bold]: an agent, its tools, and the gate between them")
    started_s = monotonic()
    async with opened(console) as scene:
        console.print(
            f"[dim]the stack is up after {monotonic() - started_s:.1f} s; gateway {scene.gateway}[/dim]"
        )
        narrator = Narrator(console)
        await Story(scene, narrator).tell()
        console.print(f"\n[bold green]All {narrator.told} steps went as announced.[/bold green]")
    console.print("[dim]Everything is stopped and gone. Your own: tollhouse up --help[/dim]")
