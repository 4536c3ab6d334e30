"""Who may talk to the treasury: gateways by their token, operators by theirs.

Both are known by the SHA-256 of a token, the key of their entry in a JSON file that is read again when
it changes: `{"<sha256>": {"name", "kid", "public_jwk", "tenants"}}` and `{"<sha256>": {"id", "role",
"tenant"}}`. A gateway
may speak for its own tenants and its warrants are checked with its pinned key; an operator may read
everything of its tenant. A file that was changed into something unreadable leaves the last good one in
force, and says so.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import orjson
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from adapters.telemetry import logger
from treasury.errors import NotAuthorized

log = logger("treasury.access")

Entry = TypeVar("Entry")
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gateway(_Entry):
    """A gateway as it is pinned."""

    name: Name
    kid: Name
    public_jwk: dict[str, str]
    tenants: tuple[Name, ...]

    def key(self) -> OKPKey:
        """Its public key; `ValueError` for anything but the public half of an Ed25519 key."""
        if self.public_jwk.get("crv") != "Ed25519" or "d" in self.public_jwk:
            raise ValueError(f"the key of gateway {self.name} is not a public Ed25519 key")
        members: dict[str, Any] = dict(self.public_jwk)
        return OKPKey.import_key(members)


class Operator(_Entry):
    """An operator of one tenant."""

    id: Name
    role: str
    tenant: Name


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, for whom. `principal` None reads everything of the tenant: `operator` says who that is."""

    tenant: str
    principal: str | None
    gateway: Gateway | None
    key: OKPKey | None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    gateways: dict[str, tuple[Gateway, OKPKey]]
    operators: dict[str, Operator]


class AccessUnusable(Exception):
    """A file of gateways or operators cannot be used; the message says why."""


class Access:
    """The callers that are known now. Raises `AccessUnusable` when the files are no good at the start."""

    def __init__(self, gateways_file: Path, operators_file: Path | None) -> None:
        self._gateways_file = gateways_file
        self._operators_file = operators_file
        self._seen = self._stamps()
        self._known = self._read()

    def caller(self, token: str, tenant: str | None, principal: str | None) -> Caller:
        """Who shows this token, for the tenant and principal that it names; raises `NotAuthorized`."""
        self._reread()
        shown = hashlib.sha256(token.encode()).hexdigest()
        operator = self._known.operators.get(shown)
        if operator is not None:
            _refuse_other_tenant(tenant or operator.tenant, (operator.tenant,))
            return Caller(operator.tenant, None, None, None, operator.id)
        if shown not in self._known.gateways:
            raise NotAuthorized("token_invalid", "this token opens nothing here")
        gateway, key = self._known.gateways[shown]
        if not tenant or not principal:
            raise NotAuthorized("token_invalid", "a gateway names its tenant and principal")
        _refuse_other_tenant(tenant, gateway.tenants)
        return Caller(tenant, principal, gateway, key)

    def _reread(self) -> None:
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._known = self._read()
        except AccessUnusable as error:
            log.exception("access_file_refused", reason=str(error))

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._gateways_file, self._operators_file))

    def _read(self) -> _Known:
        gateways = _load(self._gateways_file, _GATEWAYS)
        operators = _load(self._operators_file, _OPERATORS) if self._operators_file else {}
        try:
            keyed = {token: (gateway, gateway.key()) for token, gateway in gateways.items()}
        except ValueError as error:
            raise AccessUnusable(str(error)) from None
        return _Known(keyed, operators)


_GATEWAYS: Final = TypeAdapter(Annotated[dict[Sha256, Gateway], Field(max_length=1_000)])
_OPERATORS: Final = TypeAdapter(Annotated[dict[Sha256, Operator], Field(max_length=10_000)])


def _load(path: Path, adapter: TypeAdapter[dict[str, Entry]]) -> dict[str, Entry]:
    try:
        return adapter.validate_python(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError, ValidationError) as error:
        raise AccessUnusable(f"{path} cannot be used: {error}") from None


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    if path is None or not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _refuse_other_tenant(tenant: str, own: tuple[str, ...]) -> None:
    if tenant not in own:
        raise NotAuthorized("wrong_tenant", "this token is not of that tenant")
