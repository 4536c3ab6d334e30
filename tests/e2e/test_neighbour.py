"""Loopback is no trust boundary: a neighbour knows every port and holds an agent's key, and gets nowhere."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from tests.fixtures.stack import StackProcess, http_tool, up, write_config

pytestmark = pytest.mark.requirement("SEC-03")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackProcess]:
    folder = tmp_path_factory.mktemp("neighbour")
    with http_tool() as (tool, _), up(write_config(folder, tool), folder / "data") as running:
        running.wait_ready()
        yield running


@pytest.fixture(params=["the agent's key", "no credentials", "a made-up token"])
def headers(request: pytest.FixtureRequest, stack: StackProcess) -> dict[str, str]:
    shown = {"the agent's key": stack.ready["agents"]["scout"], "a made-up token": "made-up"}
    token = shown.get(request.param)
    return {"Authorization": f"Bearer {token}"} if token else {}


ALLOW_ALL = 'package gateway.decision\n\ndecision := {"allow": true}\n'
OPA_TRIES = [
    ("PUT", "/v1/policies/mine", ALLOW_ALL),
    ("DELETE", "/v1/policies/gateway/decision/policy.rego", ""),
    ("PATCH", "/v1/data/system/tokens", "[]"),
    ("PUT", "/v1/data/gateway/roles", "{}"),
    ("GET", "/v1/data", ""),
    ("GET", "/v1/data/system/tokens", ""),
    ("GET", "/v1/policies", ""),
    ("POST", "/v1/data/gateway/decision/batch", "{}"),
    ("POST", "/v1/query", '{"query": "data"}'),
    ("GET", "/v1/config", ""),
    ("GET", "/metrics", ""),
]


@pytest.mark.parametrize(("method", "path", "body"), OPA_TRIES)
def test_opa_tells_and_takes_nothing(
    stack: StackProcess, headers: dict[str, str], method: str, path: str, body: str
) -> None:
    answer = httpx.request(method, stack.ready["opa"] + path, headers=headers, content=body)
    assert answer.status_code == 401
    assert "gateway" not in answer.text


TREASURY_TRIES = [
    ("GET", "/v1/trial-balance"),
    ("GET", "/v1/budgets"),
    ("GET", "/v1/holds"),
    ("POST", "/v1/intents"),
    ("POST", "/v1/spends"),
    ("POST", "/v1/authorizations"),
    ("POST", "/v1/executions"),
]


@pytest.mark.parametrize(("method", "path"), TREASURY_TRIES)
def test_the_treasury_answers_its_gateways_alone(
    stack: StackProcess, headers: dict[str, str], method: str, path: str
) -> None:
    named = {**headers, "X-Tenant": "acme", "X-Principal": "scout"}
    answer = httpx.request(method, stack.ready["treasury"] + path, headers=named, json={})
    assert (answer.status_code, answer.json()["code"][:6]) == (401, "token_")


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/events"])
def test_control_answers_operators_alone(stack: StackProcess, headers: dict[str, str], path: str) -> None:
    answer = httpx.get(stack.ready["control"] + path, headers=headers)
    assert (answer.status_code, answer.json()["code"][:6]) == (401, "token_")


@pytest.mark.parametrize("role", ["postgres", "tollhouse_owner", "tollhouse_treasury", "tollhouse_relay"])
async def test_postgres_opens_no_session(stack: StackProcess, role: str) -> None:
    address = urlsplit(stack.ready["postgres"])
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
        await asyncpg.connect(
            host=address.hostname,
            port=address.port,
            user=role,
            password=stack.ready["agents"]["scout"],
            database="tollhouse",
        )


@pytest.mark.parametrize("user", [None, "gateway", "relay", "control", "operator"])
def test_nats_takes_no_event(stack: StackProcess, user: str | None) -> None:
    address = urlsplit(stack.ready["nats"])
    key = stack.ready["agents"]["scout"]
    connect = {"user": user, "pass": key} if user else {}
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        stream = connection.makefile("rb")
        stream.readline()
        publish = "PUB treasury.executed 2\r\n{}\r\n"
        connection.sendall(f"CONNECT {json.dumps(connect)}\r\n{publish}PING\r\n".encode())
        assert stream.readline().strip() == b"-ERR 'Authorization Violation'"


@pytest.mark.parametrize("name", ["gateway", "treasury", "control"])
def test_health_and_metrics_show_nothing_worth_stealing(stack: StackProcess, name: str) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        shown = httpx.get(stack.ready[name] + path).text
        secrets = [*stack.ready["agents"].values(), *stack.ready["operators"].values()]
        assert not any(secret in shown for secret in secrets)
        assert "scout" not in shown


async def test_the_treasurys_own_role_cannot_change_an_entry(stack: StackProcess) -> None:
    connection = await asyncpg.connect(stack.ready["postgres"])
    try:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.role_table_grants "
            "WHERE grantee = 'tollhouse_treasury' AND privilege_type IN ('DELETE', 'TRUNCATE')"
        )
        assert tables == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT * FROM control.applied_migrations")
    finally:
        await connection.close()
