"""The files and the database of a stack in containers, without any process of it."""

import json
import stat
from pathlib import Path

import asyncpg
import pytest

from tests.fixtures.servers import PostgresServer
from tests.fixtures.stack import write_config
from tollhouse.local import prepare
from tollhouse.local.postgres import Postgres
from tollhouse.local.stack import install


@pytest.mark.requirement("OPS-02")
def test_files_are_what_the_containers_read(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://tool:9102", "gateway: {upstream_timeout_s: 5}")
    data = tmp_path / "data"
    assert prepare.main("files", str(config), str(data)) == 0
    gateway = (data / "env" / "gateway").read_text().splitlines()
    assert "TOLLHOUSE_GATEWAY_PORT=8700" in gateway
    assert "TOLLHOUSE_GATEWAY_UPSTREAM_TIMEOUT_S=5.0" in gateway
    assert f"TOLLHOUSE_GATEWAY_REGISTRY_FILE={data}/registry.json" in gateway
    assert {path.name for path in (data / "env").iterdir()} == {"gateway", "treasury", "control", "relay"}
    assert json.loads((data / "nats" / "nats.conf").read_text())["listen"] == "127.0.0.1:4222"
    assert (data / "policy" / ".manifest").exists()
    assert (data / "opa" / "guard" / "system" / "tokens" / "data.json").exists()
    assert stat.S_IMODE((data / "credentials" / "postgres.password").stat().st_mode) == 0o600


@pytest.mark.requirement("OPS-02")
def test_a_mistake_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path, "http://tool:9102", "oops: 1")
    assert prepare.main("files", str(config), str(tmp_path / "data")) == 1
    assert "oops: unknown key" in capsys.readouterr().err


@pytest.mark.requirement("OPS-01")
async def test_the_database_is_installed_once_and_again(postgres: PostgresServer, tmp_path: Path) -> None:
    port = int(postgres.admin_dsn.rpartition(":")[2].partition("/")[0])
    server = Postgres(tmp_path, tmp_path / "log", port, "admin-secret")
    passwords = {name: f"{name}-secret" for name in ("tollhouse_owner", *SERVICES)}
    await install(server, passwords)
    await install(server, passwords)
    for role in SERVICES:
        connection = await asyncpg.connect(server.dsn(role, passwords[role], "tollhouse"))
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        await connection.close()
    await postgres.drop_database(server.dsn(database="tollhouse"))


SERVICES = ("tollhouse_treasury", "tollhouse_relay", "tollhouse_control")
