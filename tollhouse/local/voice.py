"""How `tollhouse up` speaks: to a program in JSON lines, to a person in words.

What a program waits for goes to stdout, one line each; what goes wrong or takes long goes to stderr.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from tollhouse.local.progress import shown

SERVED = ("gateway", "treasury", "control")


class Voice:
    """JSON lines."""

    def ready(self, ready: Mapping[str, Any]) -> None:
        """Everything answers."""
        self.event(ready)

    def event(self, event: Mapping[str, Any]) -> None:
        """Something happened to a server."""
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        """The stack starts, but perhaps not as it was meant."""
        sys.stderr.write(f"warning: {text}\n")

    def failed(self, text: str) -> None:
        """The stack does not start."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """What goes on meanwhile, on stderr."""
        with shown() as tell:
            yield tell


class HumanVoice(Voice):
    """Words and a table."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def ready(self, ready: Mapping[str, Any]) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name in SERVED:
            table.add_row(name, f"[bold]{ready[name]}[/bold]", f"[dim]pid {ready['pids'][name]}[/dim]")
        self._console.print("[bold green]Tollhouse is up.[/bold green]")
        self._console.print(table)
        self._keys("agents", ready["agents"])
        self._keys("operators", ready["operators"])
        self._console.print(f"data  {ready['data']}", markup=False, soft_wrap=True)
        self._console.print("[dim]Ctrl-C stops everything. Keys and ledger stay for the next start.[/dim]")

    def event(self, event: Mapping[str, Any]) -> None:
        if "restarted" in event:
            self._console.print(
                f"[yellow]{event['restarted']} died and runs again[/yellow], pid {event['pid']}"
            )
        else:
            self._console.print(f"[red]{event['exited']} ended[/red] with code {event['code']}")

    def _keys(self, what: str, keys: Mapping[str, str]) -> None:
        for name, key in keys.items():
            self._console.print(f"{what[:-1]} {name}  {key}", markup=False, soft_wrap=True)


def voice(*, as_json: bool) -> Voice:
    """The voice for whoever listens."""
    return Voice() if as_json else HumanVoice()
