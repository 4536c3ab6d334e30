"""How the story looks in a terminal: one chapter a heading, one call a pair of lines."""

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Answer:
    """What really came back. `outcome` is `allowed`, a status of the treasury, or the code of a refusal."""

    outcome: str
    status: int
    decision_id: str
    said: str
    refused: bool = False


class Narrator:
    """Prints to one console and keeps count of the steps that it told."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.told = 0

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        self.console.print(f"\n[bold]{title}[/bold]")

    def step(self, intention: str, answer: Answer) -> None:
        """What the agent tried, and what was really answered."""
        self.told += 1
        mark, colour = ("✗", "red") if answer.refused else ("✓", "green")
        self.console.print(f" [{colour}]{mark}[/{colour}] {escape(intention)}")
        line = Text(f"     {answer.status} {answer.outcome}", style=colour)
        if answer.said:
            line.append(f"  {answer.said}", style="default")
        self.console.print(line, no_wrap=True, overflow="ellipsis")
        if answer.decision_id:
            self.console.print(f"     [dim]decision {answer.decision_id}[/dim]")

    def aside(self, text: str) -> None:
        """Something that the reader should notice."""
        for line in text.splitlines():
            self.console.print(f"     [dim]{escape(line)}[/dim]")

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """A small table; every column but the first is aligned to the right."""
        table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self.console.print(Padding(table, (0, 0, 0, 5)))
