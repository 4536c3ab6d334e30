"""Control on a database of its own, with the real bus."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import nats as nats_client
import pytest
from fastapi import FastAPI
from nats.js import JetStreamContext

from control import migrate
from control.app import create_app
from control.config import Settings
from tests.fixtures.servers import NATS_PASSWORDS, NatsServer, PostgresServer
from tests.fixtures.treasury import PASSWORDS
from treasury.edge.migrate import install

KEYS = {"olga-key": ("olga", "acme"), "otto-key": ("otto", "other")}


@pytest.fixture
async def control_database(postgres: PostgresServer, database: str) -> str:
    """The superuser's DSN of a database with the schema of control."""
    await install(database, PASSWORDS)
    await migrate.install(database)
    return database


@pytest.fixture
def settings(postgres: PostgresServer, nats: NatsServer, control_database: str, tmp_path: Path) -> Settings:
    operators = {
        sha256(key.encode()).hexdigest(): {"id": name, "role": "executive", "tenant": tenant}
        for key, (name, tenant) in KEYS.items()
    }
    files = {
        "operators.json": json.dumps(operators),
        "control.dsn": postgres.dsn_of(control_database, "tollhouse_control", PASSWORDS["tollhouse_control"])
        + "\n",
        "nats": NATS_PASSWORDS["control"],
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    server = urlsplit(nats.url)
    return Settings(
        operators_file=tmp_path / "operators.json",
        postgres_dsn_file=tmp_path / "control.dsn",
        nats_url=f"nats://{server.hostname}:{server.port}",
        nats_password_file=tmp_path / "nats",
        record_wait_ms=200,
        record_retry_ms=50,
        nats_connect_timeout_s=1,
        nats_ack_timeout_s=1,
        postgres_connect_timeout_s=1,
    )


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application within its lifespan, and olga's client."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport,
            base_url="http://control",
            headers={"authorization": "Bearer olga-key"},
        ) as client,
    ):
        yield client


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(settings)) as client:
        yield client


@pytest.fixture
async def admin(nats: NatsServer) -> AsyncIterator[JetStreamContext]:
    """JetStream as somebody who may do everything."""
    client = await nats_client.connect(nats.url)
    yield client.jetstream()
    await client.close()


async def until(ask: Callable[[], Awaitable[bool]], within_s: float = 10.0) -> None:
    """Ask again and again until it is so."""
    async with asyncio.timeout(within_s):
        while not await ask():
            await asyncio.sleep(0.02)
