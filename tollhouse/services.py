"""Our own services by name, and how one is run: `tollhouse gateway` and its like.

Each is imported only when it is run, so that a gateway carries nothing of the treasury in its memory.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError


@dataclass(frozen=True)
class Service:
    """Where a service's settings and its `serve(settings)` are: `module:name` each."""

    settings: str
    serve: str

    def settings_class(self) -> type[BaseSettings]:
        """The settings, read from the environment when an instance is made."""
        found: type[BaseSettings] = _load(self.settings)
        return found


SERVICES: Final[Mapping[str, Service]] = {
    "gateway": Service("gateway.config:Settings", "gateway.app:serve"),
    "treasury": Service("treasury.config:Settings", "treasury.app:serve"),
    "control": Service("control.config:Settings", "control.app:serve"),
    "relay": Service("treasury.config:RelaySettings", "treasury.relay:serve"),
}


def run(name: str) -> int:
    """Run one service in the foreground until SIGTERM or SIGINT; the exit code."""
    service = SERVICES[name]
    try:
        settings = service.settings_class()()
    except ValidationError as error:
        complain(name, error)
        return 2
    except SettingsError as error:
        sys.stderr.write(f"tollhouse {name}: {error}\n")
        return 2
    serve: Callable[[BaseSettings], None] = _load(service.serve)
    serve(settings)
    return 0


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def complain(name: str, error: ValidationError) -> None:
    """Say which environment variable is wrong, and what is allowed; no value is repeated."""
    sys.stderr.write(f"tollhouse {name}: the settings are not right.\n")
    for fault in error.errors(include_url=False, include_input=False):
        variable = f"TOLLHOUSE_{name}_{'_'.join(map(str, fault['loc']))}".upper()
        sys.stderr.write(f"  {variable}: {fault['msg']}\n")
    sys.stderr.write("Every setting: docs/reference/settings.md\n")
