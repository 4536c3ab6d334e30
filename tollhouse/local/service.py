"""One of our own services as a server of the stack: `python -m tollhouse NAME` with its settings.

It inherits the environment but for what begins with TOLLHOUSE_: a service of the stack takes its settings
from the stack alone.
"""

import http.client
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tollhouse
from tollhouse.local.child import Child
from tollhouse.local.ports import LOOPBACK

PROBE_TIMEOUT_S = 1.0
WHO_HEADER = "X-Service"


@dataclass(frozen=True)
class ServiceProcess:
    """A service. `settings` by their own names; `hidden`: variables of ours that it must not see.

    `ready` is how it is asked whether it is ready.
    """

    name: str
    settings: Mapping[str, Any]
    log: Path
    ready: Callable[[], bool]
    hidden: frozenset[str] = frozenset()

    def prepare(self) -> Child:
        """The child that runs it (not started yet)."""
        return Child(
            name=self.name,
            command=[sys.executable, "-P", "-m", "tollhouse", self.name],
            log=self.log,
            environment={**self._inherited(), **self.variables()},
        )

    def is_ready(self) -> bool:
        """Ask."""
        return self.ready()

    def _inherited(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TOLLHOUSE_") and name not in self.hidden
        }
        code = str(Path(tollhouse.__file__).parent.parent)
        path = [code, *filter(None, [kept.get("PYTHONPATH")])]
        return {**kept, "PYTHONPATH": os.pathsep.join(path)}

    def variables(self) -> dict[str, str]:
        """Its settings as environment variables."""
        return {
            f"TOLLHOUSE_{self.name}_{name}".upper(): _text(value) for name, value in self.settings.items()
        }


def answers(name: str, port: int) -> bool:
    """Whether what listens on this port of loopback says that it is this service, and ready."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK and answer.getheader(WHO_HEADER) == name
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _text(value: Any) -> str:
    """As pydantic-settings reads it: plain text for plain things, JSON for the rest."""
    return str(value) if isinstance(value, str | int | float | Path) else json.dumps(value)
