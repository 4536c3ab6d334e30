"""The ways to spend that are measured: through HTTP, the store alone, and one transaction a command."""

import hashlib
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from adapters.http1 import TcpAddress
from adapters.postgres import Database
from bench.ledger_load import OneSpend
from bench.ledger_seed import BUDGETS
from bench.ledger_singles import Singles
from bench.ledger_spend import HOT, TENANT, Spend
from bench.servers import answers
from gateway.edge.treasury import Asker, Once, Treasury
from gateway.edge.warrants import Signer, generate, public_entry
from schemas.ids import new_id
from tollhouse.local.child import Child
from tollhouse.local.ports import free_port
from treasury.config import Settings
from treasury.core.authorization import Terms
from treasury.edge.batch import Batches, Limits
from treasury.edge.ledger import road

TOKEN: Final = "bench-token"
Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Way:
    """How one spends on it, and how it is closed; `pid` is that of a service of its own."""

    name: str
    spend: Callable[[Spend], Awaitable[None]]
    close: Close
    pid: int | None = None

    def on(self, workflows: list[str], *, hot: bool) -> OneSpend:
        """Spending by numbered clients, all on one budget or each time on any of many."""

        async def one(number: int) -> None:
            budget = HOT if hot else f"agent:{random.randrange(BUDGETS)}"
            await self.spend(Spend(workflows[number % len(workflows)], budget))

        return one

    @property
    def rss_mb(self) -> float | None:
        """Resident memory of its service, in millions of bytes."""
        return psutil.Process(self.pid).memory_info().rss / 1e6 if self.pid else None


async def store(dsn: str) -> Way:
    """The treasury without HTTP: its batches, in this process, as they are set by default."""
    defaults = Settings.model_construct()
    database = await Database.open(
        dsn,
        application="bench-store",
        pool_size=defaults.batch_lanes_max,
        lock_timeout_ms=defaults.lock_wait_ms,
        by_key=True,
    )
    limits = Limits(
        defaults.batch_commands_max,
        defaults.batch_queue_max,
        defaults.batch_lanes_max,
        defaults.in_flight_wait_ms,
    )
    batches = Batches(road(database, Terms(defaults.hold_ttl_s, defaults.approval_ttl_s)), limits)

    async def spend(wanted: Spend) -> None:
        held = await batches.do(wanted.hold())
        assert held is not None, "nobody waits for a command of the bench"
        await batches.do(wanted.capture(held.body["hold_id"]))

    return Way("the store alone", spend, database.close)


async def singles(dsn: str, sessions: int) -> Way:
    """One transaction a command, by hand, on this many sessions."""
    pool = await asyncpg.create_pool(
        dsn, min_size=sessions, max_size=sessions, server_settings={"jit": "off", "timezone": "UTC"}
    )
    return Way(f"one transaction a command, {sessions} sessions", Singles(pool).spend, pool.close)


async def http(dsn: str, folder: Path) -> Way:
    """The treasury as it ships, asked by the gateway's own client; warrants are signed on the way."""
    key_file, port = folder / "gateway.jwk", free_port()
    generate(key_file)
    entry = {"name": "gateway", "tenants": [TENANT], **public_entry(key_file)}
    gateways = {hashlib.sha256(TOKEN.encode()).hexdigest(): entry}
    (folder / "gateways.json").write_text(json.dumps(gateways))
    (folder / "dsn").write_text(dsn)
    settings = {"PORT": port, "GATEWAYS_FILE": folder / "gateways.json", "POSTGRES_DSN_FILE": folder / "dsn"}
    environment = {f"TOLLHOUSE_TREASURY_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "tollhouse", "treasury"]
    child = Child("treasury", command, folder / "treasury.log", environment)
    child.start()
    child.wait_until(lambda: answers(port, "/readyz"), 30.0)
    client = Treasury(TcpAddress("127.0.0.1", port), TOKEN, timeout_s=30.0, connections_max=512)
    signer = Signer(key_file, "gateway", time.time)

    async def spend(wanted: Spend) -> None:
        asker = Asker(TENANT, "scout", wanted.decision_id)
        body = {"intent": wanted.document(), "warrant": signer.sign(wanted.claims())}
        held = await client.write(asker, "/v1/spends", body, Once(new_id(), "0" * 64))
        body = {"amount_cents": wanted.amount_cents, "recipient_account": "tool:bank"}
        await client.write(asker, f"/v1/holds/{held['hold_id']}/capture", body, Once(new_id(), "0" * 64))

    async def close() -> None:
        await client.aclose()
        child.stop(10.0)

    return Way("through HTTP", spend, close, child.pid)
