"""tollhouse.yaml: what one local stack is made of.

    read_config(path) -> Config      raises DocumentError with every mistake by file, line and column

The sections `gateway`, `treasury`, `control` and `relay` take every setting of those services but what the
stack itself sees to: addresses, folders, files of secrets.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, create_model
from pydantic_settings import BaseSettings

from control.config import Settings as ControlSettings
from gateway.config import Settings as GatewaySettings
from gateway.edge.registry import Algorithm
from tollhouse.names import FromEnvironment, HttpUrl, Id, Role, ServerUrl
from tollhouse.problems import DocumentError, Problem
from tollhouse.problems import Path as At
from tollhouse.yaml_reader import Document, as_model, read_document
from treasury.config import RelaySettings
from treasury.config import Settings as TreasurySettings

KEY_CHARS_MIN = 16
SERVERS_MAX = 1_000
AGENTS_MAX = 10_000
TREASURY = "treasury"
MISSING = (
    "there is no such file, which says what the stack is made of: write it (README.md shows one), "
    "or name another with --config FILE"
)

SERVICES: Mapping[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "treasury": TreasurySettings,
    "control": ControlSettings,
    "relay": RelaySettings,
}
STACK_NAMES = frozenset({"host", "name", "nats_user"})
STACK_ENDINGS = ("_file", "_dir", "_url", "_socket")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Entry):
    """A tool server. Those that are started by a command and spoken to over stdio are not served yet."""

    kind: Literal["mcp", "http"]
    url: ServerUrl | None = None
    command: tuple[str, ...] | None = None


class Agent(_Entry):
    """An agent: its key is made at the first start, or comes from the environment."""

    id: Id
    role: Role
    key: FromEnvironment | None = None


class Operator(_Entry):
    """A person who operates, with a key like an agent's."""

    id: Id
    role: Role
    key: FromEnvironment | None = None


class Issuer(_Entry):
    """An issuer of JWTs, and which agent each of its subjects is."""

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: HttpUrl
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    subjects: dict[str, Id]


def is_for_people(setting: str) -> bool:
    """Whether a setting may stand in the file; the stack sees to the others."""
    return setting not in STACK_NAMES and not setting.endswith(STACK_ENDINGS)


def section(settings: type[BaseSettings]) -> type[BaseModel]:
    """The part of a service's settings that a person may set, each one optional."""
    fields: dict[str, Any] = {
        name: (Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation, None)
        for name, info in settings.model_fields.items()
        if is_for_people(name)
    }
    return create_model(f"{settings.__name__}Section", __config__=ConfigDict(extra="forbid"), **fields)


class _Base(_Entry):
    tenant: Id = "default"
    servers: dict[Id, Server] = Field(default_factory=dict, max_length=SERVERS_MAX)
    agents: tuple[Agent, ...] = Field((), max_length=AGENTS_MAX)
    operators: tuple[Operator, ...] = Field((), max_length=AGENTS_MAX)
    issuers: tuple[Issuer, ...] = ()
    policy: str = Field(min_length=1)


_SECTIONS: dict[str, Any] = {name: (section(of), None) for name, of in SERVICES.items()}
_File: type[_Base] = create_model("TollhouseYaml", __base__=_Base, **_SECTIONS)


class Config(_Base):
    """The file, checked. `settings` has what its sections set, by service; `policy_path` is absolute."""

    source: InstanceOf[Document]
    path: Path
    policy_path: Path
    settings: dict[str, dict[str, Any]]

    def problem(self, at: At, text: str) -> Problem:
        """What is wrong or odd about this place of the file."""
        return self.source.problem(at, text)

    def drain_s(self, service: str) -> float:
        """How long a service may take to end: the file's setting, else its default; 0 where it has none."""
        known = SERVICES[service].model_fields.get("drain_timeout_s")
        return float(self.settings[service].get("drain_timeout_s", known.default if known else 0))

    def port(self, service: str) -> int | None:
        """The port that the file gives a service, None when it may be any free one."""
        return self.settings[service].get("port") or None


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file; raises DocumentError."""
    if not path.exists():
        raise DocumentError([Problem(str(path), 0, 0, MISSING)])
    document = read_document(path)
    file = as_model(document, _File)
    policy = (path.parent / file.policy).absolute()
    found = [document.problem(at, text) for at, text in _mistakes(file, policy, environment)]
    if found:
        raise DocumentError(found)
    return Config(
        **{name: getattr(file, name) for name in _Base.model_fields},
        source=document,
        path=path.absolute(),
        policy_path=policy,
        settings={name: _given(getattr(file, name)) for name in SERVICES},
    )


def _given(part: BaseModel | None) -> dict[str, Any]:
    return part.model_dump(exclude_unset=True) if part else {}


def _mistakes(file: _Base, policy: Path, environment: Mapping[str, str]) -> Iterator[tuple[At, str]]:
    """What no type can say."""
    if TREASURY in file.servers:
        yield ("servers", TREASURY), "the treasury has this name already, and its tools are spend requests"
    for name, server in file.servers.items():
        yield from (((("servers", name, *at)), text) for at, text in _server_mistakes(server))
    yield from _port_mistakes(file)
    yield from _identity_mistakes(file, environment)
    for index, issuer in enumerate(file.issuers):
        for subject, agent in issuer.subjects.items():
            if agent not in {each.id for each in file.agents}:
                yield ("issuers", index, "subjects", subject), f"there is no agent {agent!r} in this file"
    if not policy.exists():
        yield ("policy",), f"there is no {policy}"


def _server_mistakes(server: Server) -> Iterator[tuple[At, str]]:
    if server.command is not None:
        yield (
            ("command",),
            "servers over stdio are not supported yet: run it with an HTTP transport and give its url",
        )
    elif server.url is None:
        yield (), "url is missing"


def _port_mistakes(file: _Base) -> Iterator[tuple[At, str]]:
    """Two services cannot listen on one port; 0 is any free one."""
    owners: dict[int, str] = {}
    for name in SERVICES:
        port = _given(getattr(file, name)).get("port")
        if port and (owner := owners.setdefault(port, name)) != name:
            yield (name, "port"), f"{port} is the port of {owner} already"


def _identity_mistakes(file: _Base, environment: Mapping[str, str]) -> Iterator[tuple[At, str]]:
    seen: set[str] = set()
    parts: Mapping[str, Sequence[Agent | Operator]] = {"agents": file.agents, "operators": file.operators}
    for part, entries in parts.items():
        for index, entry in enumerate(entries):
            if entry.id in seen:
                yield (
                    (part, index, "id"),
                    f"{entry.id!r} stands here already: every agent and operator has an id of its own",
                )
            seen.add(entry.id)
            if entry.key and len(environment.get(entry.key.removeprefix("env:"), "")) < KEY_CHARS_MIN:
                name = entry.key.removeprefix("env:")
                yield (
                    (part, index, "key"),
                    f"the environment variable {name} must hold a key of at least {KEY_CHARS_MIN} characters",
                )
