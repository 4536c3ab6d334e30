"""How `tollhouse up` speaks: to a program in JSON lines, to a person in words.

What a program waits for goes to stdout, one line each; what goes wrong or takes long goes to stderr. A voice
that nobody can hear harms nobody: neither stream can end the stack.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from tollhouse.local.outlet import outlet
from tollhouse.local.progress import shown

SERVED = ("gateway", "treasury", "control")


class Voice:
    """JSON lines."""

    def __init__(self) -> None:
        self._out = outlet(sys.stdout)
        self._errors = outlet(sys.stderr)

    def ready(self, ready: Mapping[str, Any]) -> None:
        """Everything answers."""
        self._line(ready)

    def restarted(self, name: str, pid: int) -> None:
        """A server died, and was started anew."""
        self._line({"restarted": name, "pid": pid})

    def answers(self, name: str, pid: int) -> None:
        """What was started anew is ready: for people alone, a program asks it itself."""

    def exited(self, name: str, code: int) -> None:
        """A server died, and is left so."""
        self._line({"exited": name, "code": code})

    def cannot_start(self, name: str, why: str) -> None:
        """A server died, and starting it failed."""
        self.warn(f"{name} cannot be started again ({why}): it is tried until it can")

    def warn(self, text: str) -> None:
        """The stack runs, but perhaps not as it was meant."""
        self._errors.write(f"warning: {text}\n")
        self._errors.flush()

    def failed(self, text: str) -> None:
        """The stack does not start."""
        self._errors.write(f"{text}\n")
        self._errors.flush()

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """What goes on meanwhile, on stderr."""
        with shown() as tell:
            yield tell

    def _line(self, event: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(event) + "\n")
        self._out.flush()


class HumanVoice(Voice):
    """Words and a table."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(file=self._out, highlight=False)

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

    def restarted(self, name: str, pid: int) -> None:
        self._console.print(f"[yellow]{name} died[/yellow] and was started again, pid {pid}")

    def answers(self, name: str, pid: int) -> None:
        self._console.print(f"{name} runs again, pid {pid}")

    def exited(self, name: str, code: int) -> None:
        self._console.print(f"[red]{name} ended[/red] with code {code}")

    def _keys(self, what: str, keys: Mapping[str, str]) -> None:
        for name, key in keys.items():
            self._console.print(f"{what[:-1]} {name}  {key}", markup=False, soft_wrap=True)


def voice(*, as_json: bool) -> Voice:
    """The voice for whoever listens."""
    return Voice() if as_json else HumanVoice()
