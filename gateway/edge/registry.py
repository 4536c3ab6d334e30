"""Who and what the gateway knows: tool servers, keys, issuers, operators.

A JSON file, read again when it changes. A file that cannot be read or has a mistake leaves the last good
registry in force, and says so in the log and in readiness.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway.core.classify import Server
from gateway.errors import BadRequest
from schemas.strict_json import NotStrictJSON, read

_DEPTH_MAX = 16
_BYTES_MAX = 16 * 1024 * 1024

log = structlog.get_logger(__name__)

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=2_048)]


def _names_a_server(url: str) -> str:
    """The URL as it is, where all of it can be used: a host, at most a port and a path."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("the URL of a tool server has no user and no password in it")
    if "?" in url or "#" in url:
        raise ValueError("the URL of a tool server has no query and no fragment: they would not be sent")
    if not parts.hostname or parts.port == 0:
        raise ValueError("the URL names no server")
    return url


ServerUrl = Annotated[HttpUrl, AfterValidator(_names_a_server)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]


class RegistryBroken(Exception):
    """The registry's file cannot be used; the message says why."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(_Entry):
    """What a credential stands for. Agent and tenant go into headers and keys, so they are plain names."""

    agent: Name
    role: str = Field(min_length=1, max_length=200)
    tenant: Name


class Issuer(_Entry):
    """An issuer of JWTs: only `subjects` of it are known, and only by `algorithms`."""

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: HttpUrl
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    subjects: dict[str, Identity]


class Operator(_Entry):
    """A person who operates; knows no tools."""

    id: Name
    role: str
    tenant: Name


class ServerEntry(_Entry):
    """A tool server and where it answers."""

    kind: Literal["http", "mcp"]
    url: ServerUrl


class Document(_Entry):
    """The file as a whole."""

    tenant: Name
    servers: dict[Name, ServerEntry]
    keys: dict[Sha256, Identity]
    issuers: tuple[Issuer, ...] = ()
    operators: dict[Sha256, Operator] = Field(default_factory=dict)


class Registry:
    """The registry in force. `broken` says why the file was not taken the last time, "" when it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._look()
        self._take(parse(self._path))
        self.broken = ""

    def server(self, name: str) -> Server:
        """The tool server of this name. Raises `BadRequest` with not_found."""
        server = self._servers.get(name)
        if server is None:
            raise BadRequest("not_found", f"no tool server {name!r} is registered")
        return server

    def key(self, bearer: str) -> Identity | None:
        """The identity of an API key, by its SHA-256: as much work for a wrong key as for a right one."""
        return self._document.keys.get(hashlib.sha256(bearer.encode()).hexdigest())

    def operator(self, bearer: str) -> Operator | None:
        """The operator of a key."""
        return self._document.operators.get(hashlib.sha256(bearer.encode()).hexdigest())

    def issuer(self, name: str) -> Issuer | None:
        """The issuer that calls itself so."""
        return self._issuers.get(name)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """All issuers in force."""
        return self._document.issuers

    def reread(self) -> None:
        """Take the file again if it changed; keep what is in force if it cannot be used."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            document = parse(self._path)
        except RegistryBroken as error:
            self.broken = str(error)
            log.warning("registry_broken", why=self.broken)
            return
        self._take(document)
        self.broken = ""
        log.info("registry_read", servers=len(self._servers), keys=len(document.keys))

    async def watch(self, every_s: float) -> None:
        """Look at the file again and again."""
        while True:
            await asyncio.sleep(every_s)
            self.reread()

    def _take(self, document: Document) -> None:
        self._document = document
        self._issuers = {issuer.issuer: issuer for issuer in document.issuers}
        self._servers = {
            name: Server(name, entry.kind, entry.url) for name, entry in document.servers.items()
        }

    def _look(self) -> tuple[int, ...]:
        """What changes when the file does; a missing file has a stamp of its own."""
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_ino, status.st_size, status.st_mtime_ns


def parse(path: Path) -> Document:
    """Read a registry's file. Raises `RegistryBroken`, without the file's contents in its message."""
    try:
        with path.open("rb") as file:
            text = file.read(_BYTES_MAX + 1)
        if len(text) > _BYTES_MAX:
            raise RegistryBroken(f"{path}: larger than {_BYTES_MAX} bytes")
        document: Any = read(text, _DEPTH_MAX)
        return Document.model_validate(document)
    except OSError as error:
        raise RegistryBroken(f"{path}: {error.strerror}") from None
    except NotStrictJSON as error:
        raise RegistryBroken(f"{path}: {error}") from None
    except ValidationError as error:
        raise RegistryBroken(f"{path}: {_mistakes(error)}") from None


def _mistakes(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
