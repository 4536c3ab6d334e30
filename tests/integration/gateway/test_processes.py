"""The gateway as it is run: processes that start, share a port, drain and end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.edge.journal import journals
from tests.fixtures.servers import OpaServer, eventually
from tests.integration.gateway.conftest import KEY, REPOSITORY, registry
from tests.integration.gateway.upstream import Seen, Upstream
from tollhouse.local.ports import free_port

SERVE = "from gateway.app import serve; from gateway.config import Settings; serve(Settings())"


@asynccontextmanager
async def served(
    opa: OpaServer, tool: Upstream, folder: Path, **more: Any
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    import json

    (folder / "registry.json").write_text(json.dumps(registry(tool.url)))
    port = free_port()
    settings = {
        "registry_file": folder / "registry.json",
        "journal_dir": folder / "journal",
        "opa_url": opa.url,
        "opa_socket": opa.socket,
        "port": port,
    } | more
    environment = {f"TOLLHOUSE_GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVE,
        cwd=REPOSITORY,
        env=os.environ | environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {KEY}"}
    )
    async with client:
        try:
            await _ready(process, client)
            yield process, client
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def _ready(process: asyncio.subprocess.Process, client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.02)


@pytest.mark.requirement("OPS-04")
async def test_sigterm_lets_a_call_end_and_its_outcome_be_recorded(
    opa: OpaServer, tool: Upstream, tmp_path: Path
) -> None:
    go_on = asyncio.Event()

    async def wait(_seen: Seen, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    tool.answer = wait
    async with served(opa, tool, tmp_path) as (process, client):
        call = asyncio.create_task(client.get("/tools/search/open/x"))
        await eventually(lambda: tool.requests)
        process.send_signal(signal.SIGTERM)
        go_on.set()
        assert (await call).status_code == 204
        await asyncio.wait_for(process.wait(), 10)


async def until_ended(client: httpx.AsyncClient, decision_id: str) -> None:
    """Whichever worker answers finds the decision; its outcome is on the other's journal a moment later."""
    async with asyncio.timeout(20):
        while True:
            found = await client.get(f"/v1/decisions/{decision_id}", headers={"connection": "close"})
            assert found.status_code == 200
            if found.json()["outcome"] is not None:
                break
    assert found.json()["outcome"] == "succeeded"


@pytest.mark.requirement("OPS-04")
async def test_workers_share_the_port_and_each_keeps_its_journal(
    opa: OpaServer, tool: Upstream, tmp_path: Path
) -> None:
    async with served(opa, tool, tmp_path, workers=2) as (process, client):
        await eventually(lambda: len(journals(tmp_path / "journal")) == 2, 20)
        for _ in range(5):
            answer = await client.get("/tools/search/open/x", headers={"connection": "close"})
            assert answer.status_code == 200
            decision_id = answer.headers["x-decision-id"]
            for _ in range(3):
                await until_ended(client, decision_id)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) in {0, -signal.SIGTERM}


@pytest.mark.requirement("OPS-04")
async def test_workers_end_with_their_parent_however_it_ends(
    opa: OpaServer, tool: Upstream, tmp_path: Path
) -> None:
    """They would keep the port and the journals from the gateway that is started in its place."""
    async with served(opa, tool, tmp_path, workers=2) as (process, _):
        await eventually(lambda: len(journals(tmp_path / "journal")) == 2, 20)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await process.wait()
        await eventually(lambda: not any(worker.is_running() for worker in workers), 20)


@pytest.mark.requirement("OPS-04")
async def test_a_gateway_that_cannot_open_what_it_needs_exits(
    opa: OpaServer, tool: Upstream, tmp_path: Path
) -> None:
    async with served(opa, tool, tmp_path, opa_token_file="/nonexistent/token") as (process, _):
        assert process.returncode not in {None, 0}
