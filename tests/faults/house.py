"""A treasury and all that it stands on, as processes of one drill's own: killed under load and started again.

Starting waits without holding the event loop up, so that callers go on asking whoever is away.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from tests.fixtures.bus import LossyBus, make_streams
from tests.fixtures.gateways import answers, sha256
from tests.fixtures.servers import STOP_WITHIN_S
from tests.fixtures.treasury import PASSWORDS, TreasuryClient
from tollhouse.local.child import Child
from tollhouse.local.ports import free_port
from tollhouse.local.postgres import Postgres
from treasury.edge.migrate import install
from treasury.edge.verify import Difference, verify

PROCESSES: Final = ("postgres", "nats", "treasury", "relay")
UP_WITHIN_S: Final = 60.0
DURABLE: Final = {"fsync": "on", "max_wal_size": "64MB", "min_wal_size": "32MB", "max_connections": "40"}


@dataclass
class House:
    """PostgreSQL that syncs, NATS, treasury and relay. `environment` is added to PostgreSQL's own."""

    folder: Path
    place: Path
    bus: LossyBus
    environment: Mapping[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.postgres = Postgres(self.place, self.folder / "pg.log", free_port(), "admin-secret", DURABLE)
        self.port = free_port()
        self.gateway = TreasuryClient(httpx.AsyncClient(), self.folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Everything at work."""
        await self.start("postgres")
        await install(self.postgres.dsn(), PASSWORDS)
        self._write_files()
        await make_streams(self.bus.address("control"))
        for name in ("treasury", "relay"):
            await self.start(name)

    async def close(self) -> None:
        for name in ("relay", "treasury", "postgres"):
            if name in self.children:
                await asyncio.to_thread(self.children[name].stop, STOP_WITHIN_S)
        await self.gateway.http.aclose()

    def kill(self, name: str) -> None:
        """SIGKILL, for PostgreSQL to every process that it has."""
        child = self._child(name)
        assert child.process is not None
        victims = [child.pid, *(_children(child.pid) if name == "postgres" else ())]
        for victim in victims:
            _kill(victim)
        child.process.wait()

    async def start(self, name: str) -> None:
        """Start it, again and again if need be, as whatever looks after a service does, until it is ready."""
        async with asyncio.timeout(UP_WITHIN_S):
            while not await self.try_to_start(name):
                await asyncio.sleep(0.02)

    async def try_to_start(self, name: str) -> bool:
        """Start it where it does not run; whether it is ready."""
        child = self._child(name)
        if child.process is None or child.code() is not None:
            child = self._prepared(name)
            child.start()
        return await asyncio.to_thread(self._is_ready, name) and child.code() is None

    async def kill_and_start(self, name: str) -> None:
        """One round of a drill; "storage" is NATS with all that it kept."""
        process = "nats" if name == "storage" else name
        self.kill(process)
        if name == "storage":
            self.bus.lose_storage()
        await self.start(process)
        if name == "storage":
            await make_streams(self.bus.address("control"))

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """As the administrator."""
        connection = await asyncpg.connect(self.postgres.dsn())
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def differences(self) -> list[Difference]:
        """What `ledger verify` finds."""
        connection = await asyncpg.connect(self.postgres.dsn())
        try:
            return await verify(connection)
        finally:
            await connection.close()

    def _is_ready(self, name: str) -> bool:
        match name:
            case "postgres":
                return self.postgres.is_ready()
            case "nats":
                return self.bus.server.is_ready()
            case "treasury":
                return answers(self.url + "/readyz")
            case _:
                return True

    def _child(self, name: str) -> Child:
        if name == "nats":
            return self.bus.child
        return self.children[name] if name in self.children else self._prepared(name)

    def _prepared(self, name: str) -> Child:
        if name == "nats":
            self.bus.child = self.bus.server.prepare()
            return self.bus.child
        if name == "postgres":
            child = self.postgres.prepare()
            child.environment = {**child.environment, **self.environment}
        else:
            child = self._service(name)
        self.children[name] = child
        return child

    def _service(self, name: str) -> Child:
        settings: dict[str, Any] = {"POSTGRES_DSN_FILE": self.folder / f"{name}.dsn"}
        if name == "treasury":
            settings |= {"PORT": self.port, "GATEWAYS_FILE": self.folder / "gateways.json"}
        else:
            settings |= {"NATS_URL": self.bus.address("relay").url, "RETRY_MS": 100}
            settings |= {"NATS_PASSWORD_FILE": self.folder / "relay.password"}
        environment = {f"TOLLHOUSE_{name.upper()}_{key}": str(value) for key, value in settings.items()}
        command = [sys.executable, "-m", "tollhouse", name]
        environment |= {"PATH": os.environ["PATH"]}
        return Child(name, command, self.folder / f"{name}.log", environment)

    def _write_files(self) -> None:
        for name in ("treasury", "relay"):
            role = f"tollhouse_{name}"
            (self.folder / f"{name}.dsn").write_text(self.postgres.dsn(role, PASSWORDS[role]))
        (self.folder / "relay.password").write_text(self.bus.address("relay").password)
        known = {sha256(self.gateway.token): self.gateway.entry()}
        (self.folder / "gateways.json").write_text(json.dumps(known))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
