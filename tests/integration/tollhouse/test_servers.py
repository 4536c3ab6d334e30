"""The embedded servers are real, want credentials, and end when they are told to."""

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from nats import connect

from tests.fixtures.servers import NatsServer, PostgresServer, StartOpa, eventually
from tollhouse.local.postgres import SETTINGS


@pytest.mark.requirement("OPS-01")
async def test_postgres_is_18_and_each_test_has_a_database_of_its_own(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


@pytest.mark.requirement("OPS-02")
async def test_postgres_is_made_alike_wherever_it_comes_from(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        made = await connection.fetchrow(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) AS encoding"
            " FROM pg_database WHERE datname = current_database()"
        )
        assert tuple(made) == (b"b", "C.UTF-8", "UTF8")
        for name, value in SETTINGS.items():
            if name != "listen_addresses":
                assert (name, await connection.fetchval(f"SHOW {name}")) == (name, value)
    finally:
        await connection.close()


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize("password", ["", "wrong"])
async def test_postgres_refuses_a_role_without_its_password(postgres: PostgresServer, password: str) -> None:
    dsn = postgres.dsn_of(postgres.admin_dsn, "postgres", password)
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
        await asyncpg.connect(dsn)


@pytest.mark.requirement("SEC-03")
async def test_nats_gives_the_relay_its_own_subjects_alone(nats: NatsServer) -> None:
    complaints: list[str] = []

    async def complain(error: Exception) -> None:
        complaints.append(str(error))

    relay = await connect(nats.urls["relay"], inbox_prefix=b"_INBOX.relay", error_cb=complain)
    try:
        await relay.publish("treasury.executed", b"{}")
        await relay.publish("gateway.decided", b"{}")
        await eventually(lambda: complaints)
        (complaint,) = complaints
        assert 'permissions violation for publish to "gateway.decided"' in complaint.lower()
    finally:
        await relay.close()


@pytest.mark.requirement("SEC-03")
@pytest.mark.parametrize("credentials", [{}, {"user": "relay", "pass": "wrong"}])
def test_nats_refuses_a_stranger(nats: NatsServer, credentials: dict[str, str]) -> None:
    address = urlsplit(nats.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        stream = connection.makefile("rb")
        assert stream.readline().startswith(b"INFO ")
        connection.sendall(f"CONNECT {json.dumps(credentials)}\r\nPING\r\n".encode())
        assert stream.readline().strip() == b"-ERR 'Authorization Violation'"


@pytest.mark.requirement("OPS-01")
async def test_opa_answers_on_its_socket_and_ends(start_opa: StartOpa, tmp_path: Path) -> None:
    (tmp_path / "one.rego").write_text("package one\n\nanswer := 42\n")
    server = start_opa([tmp_path])
    assert server.opa.is_ready()
    server.kill()
    assert not server.opa.is_ready()
    server.start()
    assert server.opa.is_ready()
    server.stop()
    assert server.child.code() == 0
