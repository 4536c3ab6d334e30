"""The whole stack: what it is made of, in which order it comes up and goes down.

PostgreSQL, NATS and OPA start side by side; when PostgreSQL answers, the schemas are brought to their last
step; then our services start side by side. Down it goes the other way round, the gateway first: it finishes
the calls under way while everything behind it still answers.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import asyncpg

from adapters.nats_permissions import RIGHTS, Rights
from control.migrate import install as install_control
from tollhouse import registry
from tollhouse.config import Agent, Config, Operator
from tollhouse.local.data import DataFolder
from tollhouse.local.guard import write_bundle, write_guard
from tollhouse.local.memory import choose_ports
from tollhouse.local.nats import Nats, NatsUser, service_users
from tollhouse.local.opa import Opa
from tollhouse.local.policy import POLICY, compile_policy
from tollhouse.local.ports import LOOPBACK
from tollhouse.local.postgres import Postgres
from tollhouse.local.secrets import Secrets, new_key
from tollhouse.local.service import ServiceProcess, answers
from tollhouse.local.sockets import socket_path
from tollhouse.local.supervisor import Member
from tollhouse.local.wiring import DATABASE, Wiring
from treasury.edge.migrate import ROLES
from treasury.edge.migrate import install as install_treasury

START_WITHIN_S = 60.0
SERVERS = ("postgres", "nats", "opa")
LISTENING = ("treasury", "control", "gateway")
OURS = (*LISTENING, "relay")
DOWN = ("gateway", "treasury", "relay", "control", "opa", "nats", "postgres")
PATIENCE_S = {"postgres": 30.0, "nats": 10.0, "opa": 5.0}
DRAIN_EXTRA_S = 5.0
OBSERVER = "operator"
OBSERVER_RIGHTS = Rights(
    publish=(
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.>",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.MSG.GET.>",
        "$JS.API.DIRECT.GET.>",
        "$JS.API.CONSUMER.CREATE.>",
        "$JS.API.CONSUMER.INFO.>",
        "$JS.API.CONSUMER.MSG.NEXT.>",
        "$JS.ACK.>",
    ),
    subscribe=(">",),
)
"""The operator's user of the bus reads everything and can say nothing."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Keys:
    """The keys of the configured agents and operators, by id, in the file's order."""

    agents: dict[str, str]
    operators: dict[str, str]

    @classmethod
    def of(cls, config: Config, secrets: Secrets) -> Self:
        """From the environment where the file says so (never kept), else made once and kept."""
        return cls(_keys(config.agents, secrets.agents), _keys(config.operators, secrets.operators))


@dataclass(frozen=True)
class Stack:
    """The members, in the order in which they start."""

    config: Config
    data: DataFolder
    secrets: Secrets
    keys: Keys
    ports: dict[str, int]
    postgres: Postgres
    members: list[Member]
    warnings: list[str]

    @classmethod
    def assemble(
        cls, config: Config, data: DataFolder, opa_binary: Path, ports: dict[str, int] | None = None
    ) -> Self:
        """Everything but running: secrets, policy, registry and settings are on disk after this.

        Without `ports` they are the file's, the last ones or free ones.
        """
        secrets = Secrets.load(data / "secrets.json")
        keys = Keys.of(config, secrets)
        ports = ports or choose_ports(data / "ports.json", (*SERVERS, *LISTENING), _given_ports(config))
        policy = compile_policy(config, data / POLICY)
        postgres = Postgres(
            data.folder("postgres"), data.log("postgres"), ports["postgres"], secrets.superuser
        )
        users = [NatsUser(OBSERVER, secrets.bus_password(OBSERVER), OBSERVER_RIGHTS), *_bus_users(secrets)]
        nats = Nats(data.folder("nats"), data.log("nats"), ports["nats"], users)
        opa = Opa(
            binary=opa_binary,
            socket=socket_path(data.folder("opa"), "opa.sock"),
            log=data.log("opa"),
            port=ports["opa"],
            bundles=[
                policy.folder,
                write_guard(data.folder("opa") / "guard", _opa_tokens(secrets)),
                write_bundle("compliance", data.folder("opa") / "compliance"),
            ],
        )
        wiring = Wiring(config, data, secrets, ports, postgres, opa)
        known = registry.compose(config, keys.agents, keys.operators)
        registry.publish(data.root, known, wiring.pinned_gateway())
        members = [
            Member("postgres", postgres, PATIENCE_S["postgres"]),
            Member("nats", nats, PATIENCE_S["nats"]),
            Member("opa", opa, PATIENCE_S["opa"]),
            *_our_members(wiring, config),
        ]
        secrets.save(data / "secrets.json")
        return cls(config, data, secrets, keys, ports, postgres, members, policy.warnings)

    def start(self, tell: Tell) -> None:
        """Bring everything up; StartFailed names what did not come."""
        servers = [member for member in self.members if member.name in SERVERS]
        ours = [member for member in self.members if member.name in OURS]
        tell("starting PostgreSQL, NATS and OPA")
        _start_together(servers)
        tell("bringing the schemas of treasury and control to their last step")
        self.install()
        tell("starting treasury, control, relay and gateway")
        _start_together(ours)

    def stop(self, tell: Tell) -> None:
        """Take everything down, whatever of it runs."""
        by_name = {member.name: member for member in self.members}
        for name in DOWN:
            tell(f"stopping {name}")
            by_name[name].stop()

    def ready(self) -> dict[str, Any]:
        """The ready line."""
        address = {
            name: f"http://{LOOPBACK}:{self.ports[name]}" for name in ("gateway", "treasury", "control")
        }
        treasury_role = "tollhouse_treasury"
        bus = f"{OBSERVER}:{self.secrets.bus_password(OBSERVER)}@{LOOPBACK}:{self.ports['nats']}"
        return {
            "ready": True,
            **address,
            "opa": f"http://{LOOPBACK}:{self.ports['opa']}",
            "nats": f"nats://{bus}",
            "postgres": self.postgres.dsn(treasury_role, self.secrets.password(treasury_role), DATABASE),
            "postgres_admin": self.postgres.dsn(database=DATABASE),
            "operator_key": next(iter(self.keys.operators.values()), None),
            "operators": self.keys.operators,
            "agents": self.keys.agents,
            "data": str(self.data.root),
            "pids": {member.name: member.pid for member in self.members},
        }

    def install(self) -> None:
        """The database, its roles and schemas; doing it again changes nothing."""
        asyncio.run(install(self.postgres, {role: self.secrets.password(role) for role in ROLES}))


async def install(postgres: Postgres, passwords: Mapping[str, str]) -> None:
    """The database, its roles with these passwords, and the schemas at their last step."""
    connection = await asyncpg.connect(postgres.dsn())
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close()
    admin = postgres.dsn(database=DATABASE)
    await install_treasury(admin, passwords)
    await install_control(admin)


def _start_together(members: list[Member]) -> None:
    for member in members:
        member.start()
    for member in members:
        member.wait_ready(START_WITHIN_S)


def _our_members(wiring: Wiring, config: Config) -> list[Member]:
    named: list[Agent | Operator] = [*config.agents, *config.operators]
    hidden = frozenset(entry.key.removeprefix("env:") for entry in named if entry.key)
    settings = wiring.settings()
    return [
        Member(
            name,
            ServiceProcess(name, settings[name], wiring.data.log(name), _asked(name, wiring), hidden),
            config.drain_s(name) + DRAIN_EXTRA_S,
        )
        for name in OURS
    ]


def _asked(name: str, wiring: Wiring) -> Callable[[], bool]:
    """The question that tells whether a service is ready; the relay, which has no port, is asked after."""
    if name in wiring.ports:
        return partial(answers, name, wiring.ports[name])
    return partial(wiring.postgres.serves, "tollhouse_relay")


def _given_ports(config: Config) -> dict[str, int]:
    return {name: port for name in LISTENING if (port := config.port(name))}


def _keys(entries: Sequence[Agent | Operator], kept: dict[str, str]) -> dict[str, str]:
    return {
        entry.id: os.environ[entry.key.removeprefix("env:")]
        if entry.key
        else kept.setdefault(entry.id, new_key())
        for entry in entries
    }


def _bus_users(secrets: Secrets) -> list[NatsUser]:
    return service_users({name: secrets.bus_password(name) for name in RIGHTS})


def _opa_tokens(secrets: Secrets) -> dict[str, str]:
    return {who: secrets.token(f"opa.{who}") for who in ("gateway", "control", "operator")}
