"""The services as processes: ready, drained on SIGTERM, and clear about files that are no good."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from adapters.nats import Bus, BusAddress
from tests.fixtures.servers import NATS_PASSWORDS, NatsServer
from tests.fixtures.treasury import Spend, Treasury
from tollhouse.local.ports import free_port

pytestmark = pytest.mark.requirement("OPS-04")


@asynccontextmanager
async def service(code: str, environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            await process.communicate()


async def test_the_treasury_serves_and_drains(treasury_service: Treasury) -> None:
    settings, port = treasury_service.settings, free_port()
    environment = {
        "TOLLHOUSE_TREASURY_PORT": str(port),
        "TOLLHOUSE_TREASURY_GATEWAYS_FILE": str(settings.gateways_file),
        "TOLLHOUSE_TREASURY_OPERATORS_FILE": str(settings.operators_file),
        "TOLLHOUSE_TREASURY_POSTGRES_DSN_FILE": str(settings.postgres_dsn_file),
    }
    code = "from treasury.app import serve; from treasury.config import Settings; serve(Settings())"
    async with service(code, environment) as process, httpx.AsyncClient() as http, asyncio.timeout(20):
        while process.returncode is None:
            try:
                ready = await http.get(f"http://127.0.0.1:{port}/readyz")
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
                continue
            assert ready.json() == {"status": "ready"}
            break
    assert process.returncode in (0, -signal.SIGTERM)


async def test_the_relay_serves_and_drains(
    treasury_service: Treasury, nats: NatsServer, tmp_path: Path
) -> None:
    bus = await Bus.connect(BusAddress(nats.url, "control", NATS_PASSWORDS["control"]))
    await bus.ensure_streams()
    await bus.close()
    await treasury_service.gateway.spend(Spend())
    (tmp_path / "relay.dsn").write_text(treasury_service.database.relay)
    (tmp_path / "relay.password").write_text(NATS_PASSWORDS["relay"])
    environment = {
        "TOLLHOUSE_RELAY_POSTGRES_DSN_FILE": str(tmp_path / "relay.dsn"),
        "TOLLHOUSE_RELAY_NATS_URL": nats.url,
        "TOLLHOUSE_RELAY_NATS_PASSWORD_FILE": str(tmp_path / "relay.password"),
    }
    code = (
        "from treasury.relay import serve; from treasury.config import RelaySettings; serve(RelaySettings())"
    )
    async with service(code, environment) as process, asyncio.timeout(20):
        waiting = "SELECT 1 FROM treasury.outbox WHERE published_at IS NULL"
        while await treasury_service.sql(waiting):
            await asyncio.sleep(0.02)
    assert process.returncode == 0
