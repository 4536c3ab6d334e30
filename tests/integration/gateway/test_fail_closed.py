"""What happens when what the gateway stands on is gone: refused, within the deadline, nothing upstream."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app import create_app
from gateway.edge.registry import RegistryBroken
from gateway.house import House
from tests.fixtures.servers import OpaServer, StartOpa, eventually
from tests.integration.gateway.conftest import GRANT, REPOSITORY, Running, StartGateway, bundle
from tests.integration.gateway.upstream import Seen, Upstream, listening

DEADLINE_S = 0.2


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncIterator[Running]:
    async with start_gateway(decision_timeout_ms=int(DEADLINE_S * 1000)) as running:
        assert (await running.get("/tools/search/open/warm")).status_code == 200
        yield running


async def refused(gateway: Running, code: str, path: str = "/tools/search/open/x") -> float:
    """Call, expect this code, answer the seconds that it took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    answer = await gateway.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, code), answer.text
    assert answer.headers["retry-after"] == "1"
    return loop.time() - began_s


async def _is_back(gateway: Running) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while (await gateway.get("/tools/search/open/back")).status_code != 200:
        assert asyncio.get_running_loop().time() < deadline


@pytest.mark.requirement("GW-19")
async def test_opa_killed(gateway: Running, opa: OpaServer, tool: Upstream) -> None:
    opa.kill()
    for _ in range(3):
        assert await refused(gateway, "policy_unavailable") < DEADLINE_S + 2.0
    assert len(tool.requests) == 1
    ready = await gateway.client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    opa.start()
    await _is_back(gateway)


@pytest.mark.requirement("GW-19")
async def test_opa_hung(gateway: Running, opa: OpaServer, tool: Upstream) -> None:
    opa.hang()
    taken = await asyncio.gather(*(refused(gateway, "policy_unavailable") for _ in range(20)))
    assert max(taken) < DEADLINE_S + 2.0
    assert len(tool.requests) == 1
    opa.wake()
    await _is_back(gateway)


@pytest.mark.requirement("GW-01")
@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b'HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n[{"allow": true}]  ',
        b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n[{"allow": tr',
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\xfe{}",
        b"rubbish",
    ],
)
async def test_an_opa_that_answers_garbage(raw: bytes, start_gateway: StartGateway, tool: Upstream) -> None:
    async def write(seen: Seen, writer: asyncio.StreamWriter) -> None:
        prices = b'{"revision":"r","currency":"USD","roles":{}}'
        if seen.target.endswith("prices"):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(prices) + prices)
        else:
            writer.write(raw)
            writer.close()

    async with listening() as rubbish:
        rubbish.answer = write
        async with start_gateway(
            opa_url=rubbish.url, opa_socket=None, decision_timeout_ms=int(DEADLINE_S * 1000)
        ) as gateway:
            assert await refused(gateway, "policy_unavailable") < DEADLINE_S + 2.0
            assert tool.requests == []


@pytest.mark.requirement("GW-01")
async def test_a_policy_that_decides_nothing(
    start_opa: StartOpa, start_gateway: StartGateway, tool: Upstream, tmp_path: Path
) -> None:
    empty = bundle(
        tmp_path / "empty", {"executor": {"tools": {}, "patterns": [{"glob": "*", "grant": GRANT}]}}
    )
    shutil.rmtree(empty / "gateway" / "decision")
    opa = start_opa([empty])
    async with start_gateway(opa_url=opa.url, opa_socket=opa.socket) as gateway:
        await refused(gateway, "policy_unavailable")
        assert tool.requests == []


@pytest.mark.requirement("GW-10")
async def test_a_table_of_prices_of_another_form_refuses(
    start_opa: StartOpa, start_gateway: StartGateway, tool: Upstream, tmp_path: Path
) -> None:
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / "prices.rego").write_text('package gateway.tools\n\nprices := {"roles": 7}\n')
    opa = start_opa([folder])
    async with start_gateway(opa_url=opa.url, opa_socket=opa.socket) as gateway:
        await refused(gateway, "policy_unavailable")
        assert tool.requests == []


@pytest.mark.requirement("SEC-03")
async def test_opa_asks_the_gateway_for_its_token(
    start_opa: StartOpa, start_gateway: StartGateway, tool: Upstream, tmp_path: Path
) -> None:
    import hashlib

    from tests.integration.gateway.conftest import ROLES

    system = tmp_path / "system"
    shutil.copytree(
        REPOSITORY / "rego" / "system", system, ignore=shutil.ignore_patterns("*_test.rego", "data.*")
    )
    names = {"gateway": "opa-token", "operator": "probe"}
    tokens = {hashlib.sha256(token.encode()).hexdigest(): name for name, token in names.items()}
    (system / "data.json").write_text(json.dumps({"system": {"tokens": tokens}}))
    opa = start_opa([bundle(tmp_path / "guarded", ROLES), system], probe_token="probe")
    token = tmp_path / "token"
    token.write_text("opa-token\n")
    async with start_gateway(opa_url=opa.url, opa_socket=opa.socket, opa_token_file=token) as known:
        assert (await known.get("/tools/search/open/x")).status_code == 200
    async with start_gateway(opa_url=opa.url, opa_socket=opa.socket) as stranger:
        await refused(stranger, "policy_unavailable")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system takes the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.requirement("GW-19")
@pytest.mark.requirement("AUD-01")
async def test_a_full_disk_refuses_every_call_until_there_is_room(
    start_gateway: StartGateway, tool: Upstream, small_disk: Path
) -> None:
    async with start_gateway(journal_dir=small_disk / "journal") as gateway:
        assert (await gateway.get("/tools/search/open/x")).status_code == 200
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            _fill(file)
        last = await _until_refused(gateway)
        calls = len(tool.requests)
        for _ in range(3):
            await refused(gateway, "journal_unavailable")
        assert len(tool.requests) == calls
        assert (await gateway.client.get("/readyz")).json()["checks"]["journal"] != "ok"
        assert last["code"] == "journal_unavailable"
        filler.unlink()
        await _is_back(gateway)
        await _is_ready(gateway, 200)


def _fill(file: Any) -> None:
    try:
        while file.write(b"\0" * 512):
            pass
    except OSError:
        return


async def _until_refused(gateway: Running) -> dict[str, Any]:
    """SQLite may have room left in files that it already has."""
    for _ in range(2_000):
        answer = await gateway.get("/tools/search/open/x")
        if answer.status_code != 200:
            return dict(answer.json())
    raise AssertionError("the disk never filled")


@pytest.mark.requirement("OPS-03")
async def test_health_readiness_and_metrics(gateway: Running, opa: OpaServer) -> None:
    assert (await gateway.client.get("/healthz")).json() == {"status": "ok"}
    ready = await gateway.client.get("/readyz")
    checks = {"policy": "ok", "journal": "ok", "registry": "ok"}
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "checks": checks})
    assert (await gateway.get("/tools/search/closed")).status_code == 403
    metrics = (await gateway.client.get("/metrics")).text
    assert 'tollhouse_gateway_decisions_total{allow="true",code=""} 1.0' in metrics
    assert 'tollhouse_gateway_decisions_total{allow="false",code="tool_not_allowed"} 1.0' in metrics
    assert (await gateway.client.head("/metrics")).status_code == 200
    assert (await gateway.client.post("/healthz")).status_code == 405
    gateway.registry_file.write_text("{")
    await _is_ready(gateway, 503)
    assert (await gateway.get("/tools/search/open/x")).status_code == 200


async def _is_ready(gateway: Running, status: int) -> None:
    """Wait until readiness, which is found anew once a second, is this."""
    deadline = asyncio.get_running_loop().time() + 10
    while (await gateway.client.get("/readyz")).status_code != status:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.requirement("OPS-03")
@pytest.mark.parametrize("is_open", [True, False])
async def test_health_is_for_this_machine_alone_unless_set(
    is_open: bool, start_gateway: StartGateway
) -> None:
    from gateway.edge.health import Health
    from gateway.edge.ingress import Request
    from gateway.errors import BadRequest

    async with start_gateway(open_health=is_open) as gateway:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        scope = {
            "method": "GET",
            "raw_path": b"/healthz",
            "query_string": b"",
            "headers": [(b"host", b"g")],
            "client": ("192.0.2.1", 5),
        }
        request = Request(scope, receive, send, gateway.settings)
        request.check()
        health = Health(gateway.settings, None, {})  # type: ignore[arg-type]
        if is_open:
            await health.answer(request)
            assert sent[0]["status"] == 200
        else:
            with pytest.raises(BadRequest):
                await health.answer(request)


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"registry_file": Path("/nonexistent/registry.json")}, RegistryBroken),
        ({"treasury_url": "http://127.0.0.1:1"}, ValueError),
        ({"opa_token_file": Path("/nonexistent/token")}, FileNotFoundError),
        ({"journal_dir": Path("/proc/nowhere")}, OSError),
    ],
)
async def test_a_wrong_setting_stops_the_start_and_leaves_nothing_open(
    wrong: dict[str, Any], error: type[Exception], gateway: Running, tmp_path: Path
) -> None:
    settings = gateway.settings.model_copy(update={"journal_dir": tmp_path / "other", **wrong})
    with pytest.raises(error):
        await House(settings).open()
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await create_app(settings)({"type": "lifespan"}, receive, send)
    assert messages[0]["type"] == "lifespan.startup.failed"
    assert error.__name__ in messages[0]["message"] or issubclass(OSError, error)


async def test_stopping_refuses_who_still_waits(
    start_gateway: StartGateway, opa: OpaServer, tool: Upstream
) -> None:
    async with start_gateway(decision_timeout_ms=60_000, drain_timeout_s=1) as gateway:
        assert (await gateway.get("/tools/search/open/x")).status_code == 200
        opa.hang()
        call = asyncio.create_task(gateway.get("/tools/search/open/x"))
        await eventually(lambda: gateway.server.server_state.tasks)
        gateway.server.should_exit = True
        assert (await call).status_code in {500, 503}
    opa.wake()
