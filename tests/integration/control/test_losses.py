"""Control heals what the bus lost without being started again; what it cannot survive ends its process."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import httpx
import pytest

from adapters.nats import Bus
from control.app import create_app
from control.config import Settings
from tests.fixtures.bus import LossyBus
from tests.fixtures.events import decided, of_record
from tests.fixtures.servers import NATS_PASSWORDS
from tests.integration.control.conftest import running, until
from tollhouse.local.ports import free_port

WITHIN_S = 30


async def recorded(client: httpx.AsyncClient, decision_id: str) -> None:
    async def there() -> bool:
        return (await client.get(f"/v1/decisions/{decision_id}")).status_code == 200

    await until(there, WITHIN_S)


async def publish(lossy_bus: LossyBus, record: dict[str, object]) -> None:
    """As the gateway, until there is a stream that takes it."""
    bus = await Bus.connect(lossy_bus.address("gateway"))
    event = of_record("decided", record)

    async def taken() -> bool:
        return await bus.publish_batch([event]) == 1

    await until(taken, WITHIN_S)
    await bus.close()


@pytest.mark.requirement("TRE-17")
async def test_the_streams_are_made_again_when_their_storage_was_lost(
    settings: Settings, lossy_bus: LossyBus
) -> None:
    first, second = decided(), decided()
    own = settings.model_copy(update={"nats_url": lossy_bus.address("control").url, "record_wait_ms": 50})
    async with running(create_app(own)) as client:
        await publish(lossy_bus, first)
        await recorded(client, first["decision_id"])
        lossy_bus.kill()
        lossy_bus.lose_storage()
        lossy_bus.start()
        await publish(lossy_bus, second)
        await recorded(client, second["decision_id"])
        await recorded(client, first["decision_id"])
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.requirement("TRE-17")
async def test_a_stream_that_somebody_else_made_again_is_read(
    settings: Settings, lossy_bus: LossyBus
) -> None:
    """Nothing tells the reader of a stream that is gone; it has to look."""
    first, second = decided(), decided()
    own = settings.model_copy(update={"nats_url": lossy_bus.address("control").url})
    async with running(create_app(own)) as client:
        await publish(lossy_bus, first)
        await recorded(client, first["decision_id"])
        lossy_bus.kill()
        lossy_bus.lose_storage()
        lossy_bus.start()
        bus = await Bus.connect(lossy_bus.address("control"))
        await bus.ensure_streams()
        await bus.close()
        await publish(lossy_bus, second)
        await recorded(client, second["decision_id"])


@pytest.mark.requirement("OPS-04")
async def test_a_recorder_that_dies_takes_its_process_along(
    settings: Settings, control_database: str, lossy_bus: LossyBus, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(control_database)
    await connection.execute("REVOKE INSERT ON control.events FROM tollhouse_control")
    await connection.close()
    port = free_port()
    environment = {
        "TOLLHOUSE_CONTROL_PORT": str(port),
        "TOLLHOUSE_CONTROL_OPERATORS_FILE": str(settings.operators_file),
        "TOLLHOUSE_CONTROL_POSTGRES_DSN_FILE": str(settings.postgres_dsn_file),
        "TOLLHOUSE_CONTROL_NATS_URL": lossy_bus.address("control").url,
        "TOLLHOUSE_CONTROL_NATS_PASSWORD_FILE": str(settings.nats_password_file),
    }
    assert settings.nats_password_file.read_text() == NATS_PASSWORDS["control"]
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from control.app import serve; from control.config import Settings; serve(Settings())",
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )
    try:
        await publish(lossy_bus, decided())
        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "reader_died" in (tmp_path / "log").read_text()
