"""The payment providers that may top budgets up, from a JSON file that is read again when it changes:

    {"stripe": {"secrets": ["whsec_…", "whsec_…"], "tenants": ["acme"]}}

Several secrets are good at once, so that one can be changed for another without a gap. A file that was
changed into something unreadable leaves the last good one in force, and says so; where there is no file
nobody is known.
"""

from pathlib import Path
from typing import Annotated, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from adapters.telemetry import logger

log = logger("treasury.providers")

Name = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_-]{0,63}$")]
Secret = Annotated[str, StringConstraints(min_length=16, max_length=500)]
Tenant = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ProvidersUnusable(Exception):
    """The file of providers cannot be used; the message says why and repeats no secret."""


class Provider(BaseModel):
    """A provider's shared secrets, and the tenants whose budgets it may credit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: tuple[Secret, ...] = Field(min_length=1, max_length=10)
    tenants: tuple[Tenant, ...] = Field(min_length=1, max_length=1_000)


_PROVIDERS: Final = TypeAdapter(Annotated[dict[Name, Provider], Field(max_length=100)])


class Providers:
    """Those that are known now. Raises `ProvidersUnusable` when the file is no good at the start."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen = self._stamp()
        self._known = self._read()

    def find(self, name: str) -> Provider | None:
        """The provider of this name."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._known = self._read()
            except ProvidersUnusable as error:
                log.exception("providers_file_refused", reason=str(error))
        return self._known.get(name)

    def _stamp(self) -> tuple[int, int, int] | None:
        if self._file is None or not self._file.exists():
            return None
        status = self._file.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _read(self) -> dict[str, Provider]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            return _PROVIDERS.validate_python(orjson.loads(self._file.read_bytes()))
        except ValidationError as error:
            places = [".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)]
            raise ProvidersUnusable(f"{self._file} is wrong at {', '.join(places)}") from None
        except (OSError, orjson.JSONDecodeError) as error:
            raise ProvidersUnusable(f"{self._file} cannot be used: {error}") from None
