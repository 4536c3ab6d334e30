"""Loopback is no trust boundary: a neighbour knows every port and holds an agent's key, and gets nowhere.

After every attempt all is as it was before: policies, ledger, streams.
"""

import json
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from tests.e2e.insider import secrets_of, snapshot
from tests.fixtures.stack import StackProcess, http_tool, up, write_config

pytestmark = pytest.mark.requirement("SEC-03")

NOBODY = 65534
LISTENING = "0A"


@pytest.fixture(scope="module")
def stack() -> Iterator[StackProcess]:
    """Its folder is one that every user may enter, so that what is kept from others is kept by itself."""
    with tempfile.TemporaryDirectory() as name, http_tool() as (tool, _):
        folder = Path(name)
        folder.chmod(0o755)
        with up(write_config(folder, tool), folder / "data") as running:
            running.wait_ready()
            yield running


@pytest.fixture(scope="module", autouse=True)
def nothing_changed(stack: StackProcess) -> Iterator[None]:
    before = snapshot(stack.ready)
    yield
    assert snapshot(stack.ready) == before


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
    ("POST", "/v0/data/gateway/decision/batch", "{}"),
    ("POST", "/v0/data/gateway/decision/decision", "{}"),
    ("POST", "/v0/data/compliance/cases/batch", "{}"),
    ("POST", "/v1/query", '{"query": "data"}'),
    ("GET", "/v1/query?q=data.system.tokens", ""),
    ("POST", "/v1/compile", '{"query": "data.gateway.decision.decision"}'),
    ("POST", "/", "{}"),
    ("GET", "/v1/config", ""),
    ("GET", "/v1/status", ""),
    ("GET", "/metrics", ""),
]


@pytest.mark.parametrize("way", ["tcp", "socket"])
def test_opa_tells_and_takes_nothing(stack: StackProcess, headers: dict[str, str], way: str) -> None:
    uds = str(Path(stack.ready["data"]) / "opa" / "opa.sock") if way == "socket" else None
    with httpx.Client(transport=httpx.HTTPTransport(uds=uds), base_url=stack.ready["opa"]) as client:
        for method, path, body in OPA_TRIES:
            answer = client.request(method, path, headers=headers, content=body)
            assert (method, path, answer.status_code) == (method, path, 401)
            assert "gateway" not in answer.text


SOME_ID = "01a1fe0a-cfee-7219-8943-b059e2ccdf9c"
TREASURY_WRITES = [
    "intents",
    "authorizations",
    "spends",
    "executions",
    "voids",
    f"holds/{SOME_ID}/capture",
    f"holds/{SOME_ID}/void",
    f"holds/{SOME_ID}/unknown",
]
TREASURY_READS = [
    f"intents/{SOME_ID}",
    f"authorizations/{SOME_ID}",
    "holds",
    "budgets",
    f"workflows/{SOME_ID}/balance",
    f"workflows/{SOME_ID}/entries",
    "accounts/bank/statement",
    "trial-balance",
]
TREASURY_TRIES = [("POST", path) for path in TREASURY_WRITES] + [("GET", path) for path in TREASURY_READS]
ONCE = {"Idempotency-Key": "k", "X-Request-Sha256": "0" * 64}


def test_the_treasury_answers_its_gateways_alone(stack: StackProcess, headers: dict[str, str]) -> None:
    named = {**headers, **ONCE, "X-Tenant": "acme", "X-Principal": "scout"}
    with httpx.Client(base_url=stack.ready["treasury"], headers=named) as client:
        for method, path in TREASURY_TRIES:
            answer = client.request(method, f"/v1/{path}", json={})
            assert (path, answer.status_code, answer.json()["code"][:6]) == (path, 401, "token_")


def test_not_even_an_operator_moves_money(stack: StackProcess) -> None:
    headers = {"Authorization": f"Bearer {stack.ready['operator_key']}", **ONCE}
    with httpx.Client(base_url=stack.ready["treasury"], headers=headers) as client:
        for path in TREASURY_WRITES:
            answer = client.post(f"/v1/{path}", json={})
            assert (path, answer.status_code, answer.json()["code"]) == (path, 401, "token_invalid")


CONTROL_READS = [
    "/v1/decisions",
    f"/v1/decisions/{SOME_ID}",
    "/v1/events",
    f"/v1/events?workflow_id={SOME_ID}",
]


def test_control_answers_operators_alone(stack: StackProcess, headers: dict[str, str]) -> None:
    token = headers.get("Authorization", "").removeprefix("Bearer ")
    with httpx.Client(base_url=stack.ready["control"]) as client:
        for path in CONTROL_READS:
            for shown in (headers, {"X-API-Key": token}):
                answer = client.get(path, headers=shown)
                assert (path, answer.status_code, answer.json()["code"][:6]) == (path, 401, "token_")


@pytest.mark.parametrize("name", ["treasury", "control"])
def test_documents_and_unknown_routes_tell_nothing_of_anybody(stack: StackProcess, name: str) -> None:
    for path in ("/", "/openapi.json", "/docs", "/v1", "/admin", "/..%2fetc/passwd"):
        answer = httpx.get(stack.ready[name] + path)
        assert not any(secret in answer.text for secret in secrets_of(stack.ready))
        assert "scout" not in answer.text


ROLES = ["postgres", "tollhouse_owner", "tollhouse_treasury", "tollhouse_relay", "tollhouse_control", "root"]


@pytest.mark.parametrize("role", ROLES)
async def test_postgres_opens_no_session(stack: StackProcess, role: str) -> None:
    address = urlsplit(stack.ready["postgres"])
    for password in (None, "", role, "postgres", stack.ready["agents"]["scout"]):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(
                host=address.hostname,
                port=address.port,
                user=role,
                password=password,
                database="tollhouse",
            )


def test_postgres_has_no_socket_to_knock_at(stack: StackProcess) -> None:
    port = urlsplit(stack.ready["postgres"]).port
    name = f".s.PGSQL.{port}"
    assert not any((Path(folder) / name).exists() for folder in ("/tmp", "/run/postgresql"))
    assert list(Path(stack.ready["data"]).rglob(".s.PGSQL.*")) == []


BUS_TRIES = [
    "PUB treasury.executed 2\r\n{}\r\n",
    'PUB $JS.API.STREAM.MSG.GET.TOLLHOUSE_EVENTS 9\r\n{"seq":1}\r\n',
    "SUB > 1\r\n",
]


@pytest.mark.parametrize("user", [None, "", "gateway", "relay", "control", "operator", "admin", "sys"])
def test_nats_takes_and_tells_nothing(stack: StackProcess, user: str | None) -> None:
    address = urlsplit(stack.ready["nats"])
    connect = {} if user is None else {"user": user, "pass": stack.ready["agents"]["scout"]}
    for attempt in BUS_TRIES:
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            stream = connection.makefile("rb")
            stream.readline()
            connection.sendall(f"CONNECT {json.dumps(connect)}\r\n{attempt}PING\r\n".encode())
            assert stream.readline().strip() == b"-ERR 'Authorization Violation'"
            assert stream.readline() == b""


@pytest.mark.parametrize("name", ["gateway", "treasury", "control", "opa"])
def test_health_and_metrics_show_nothing_worth_stealing(stack: StackProcess, name: str) -> None:
    for path in ("/health", "/healthz", "/readyz", "/metrics"):
        shown = httpx.get(stack.ready[name] + path).text
        assert not any(secret in shown for secret in secrets_of(stack.ready))
        assert "scout" not in shown


def test_the_relay_listens_nowhere(stack: StackProcess) -> None:
    assert listening(stack.ready["pids"]["relay"]) == set()
    assert listening(stack.ready["pids"]["gateway"]) == {urlsplit(stack.ready["gateway"]).port}


def listening(pid: int) -> set[int]:
    """The TCP ports on which a process listens."""
    sockets = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if row[3] == LISTENING and f"socket:[{row[9]}]" in sockets
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read as somebody else")
def test_another_user_can_read_no_file_of_ours(stack: StackProcess) -> None:
    data = Path(stack.ready["data"])
    paths = [str(path) for path in data.rglob("*")]
    assert str(data / "secrets.json") in paths
    script = 'while read -r path; do if [ -r "$path" ]; then echo "$path"; fi; done'
    seen = subprocess.run(
        ["/bin/sh", "-c", script],
        input="\n".join([str(data.parent), str(data), *paths]) + "\n",
        capture_output=True,
        text=True,
        check=False,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
    )
    assert seen.stdout.splitlines() == [str(data.parent)]


def test_an_agents_key_is_kept_nowhere_but_in_its_secrets_file(stack: StackProcess) -> None:
    key = stack.ready["agents"]["scout"].encode()
    holders = {path.name for path in small_files(Path(stack.ready["data"])) if key in path.read_bytes()}
    assert holders == {"secrets.json", "ready.json"}


def small_files(folder: Path) -> list[Path]:
    named = [path for path in folder.rglob("*") if path.is_file() and "cluster" not in path.parts]
    return [path for path in named if path.stat().st_size < 10_000_000]


def test_a_guessed_key_is_not_found_at_the_gateway(stack: StackProcess) -> None:
    for key in (secrets.token_hex(24), "toll_" + "0" * 48, stack.ready["operator_key"]):
        answer = stack.call(key=key)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
