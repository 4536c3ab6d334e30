"""A gateway that listens, in front of a real OPA and a small real tool server."""

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from gateway.app import configuration
from gateway.config import Settings
from gateway.edge.journal import Journal
from schemas.ids import digest
from tests.fixtures.servers import OpaServer, StartOpa, eventually
from tests.integration.gateway import upstream
from tests.integration.gateway.journalled import opened
from tests.integration.gateway.upstream import Upstream

KEY = "key-of-scout"
OTHER_KEY = "key-of-ranger"
REPOSITORY = Path(__file__).parents[3]
GRANT = {"additional_arguments": False, "redact": []}
ROLES: dict[str, Any] = {
    "executor": {
        "tools": {
            "search.GET /price": {
                **GRANT,
                "price": {"kind": "fixed", "fixed_cents": 5, "charged_on_error": False},
            },
            "search.POST /pay": {
                **GRANT,
                "arguments": {"amount": {"type": "number", "maximum": 500}},
            },
            "absent.GET /": GRANT,
        },
        "patterns": [
            {"glob": f"{server}.{method} /open/*", "grant": GRANT}
            for server in ("search", "dead")
            for method in ("GET", "POST", "PUT", "HEAD", "DELETE")
        ],
        "redact": [],
    },
    "limited": {
        "tools": {},
        "patterns": [{"glob": "*", "grant": GRANT}],
        "rate_limit": {"calls": 2, "per_s": 600},
        "redact": [],
    },
}


def bundle(folder: Path, roles: dict[str, Any]) -> Path:
    """The shipped policy with these roles and no spend rules."""
    shutil.copytree(
        REPOSITORY / "rego" / "gateway", folder / "gateway", ignore=shutil.ignore_patterns("*_test.rego")
    )
    shutil.copy(REPOSITORY / "rego" / ".manifest", folder)
    for data in folder.rglob("data.yaml"):
        data.unlink()
    data = {
        "roles": roles,
        "policy": {"version": "1.0", "revision": digest(roles), "currency": "USD"},
        "spend": {"rules": []},
    }
    for name, document in data.items():
        (folder / "gateway" / name).mkdir(exist_ok=True)
        (folder / "gateway" / name / "data.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def opa(start_opa: StartOpa, tmp_path: Path) -> OpaServer:
    return start_opa([bundle(tmp_path / "bundle", ROLES)])


@pytest.fixture
async def tool() -> AsyncIterator[Upstream]:
    async with upstream.listening() as server:
        yield server


@dataclass
class Running:
    """A gateway that listens."""

    port: int
    settings: Settings
    server: uvicorn.Server
    client: httpx.AsyncClient

    @property
    def registry_file(self) -> Path:
        return self.settings.registry_file

    async def get(self, path: str, key: str = KEY, **more: Any) -> httpx.Response:
        return await self.request("GET", path, key, **more)

    async def request(self, method: str, path: str, key: str = KEY, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def raw(self, data: bytes) -> bytes:
        """What comes back for these very bytes, until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    async def decision(self, decision_id: str, key: str = KEY) -> dict[str, Any]:
        answer = await self.get(f"/v1/decisions/{decision_id}", key)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def registry(tool_url: str) -> dict[str, Any]:
    """Two agents and a limited one; `dead` is a server that nobody runs."""
    return {
        "tenant": "acme",
        "servers": {
            "search": {"kind": "http", "url": tool_url},
            "dead": {"kind": "http", "url": "http://127.0.0.1:1"},
        },
        "keys": {
            key_sha256(KEY): {"agent": "scout", "role": "executor", "tenant": "acme"},
            key_sha256(OTHER_KEY): {"agent": "ranger", "role": "limited", "tenant": "acme"},
        },
    }


def key_sha256(key: str) -> str:
    import hashlib

    return hashlib.sha256(key.encode()).hexdigest()


StartGateway = Callable[..., contextlib.AbstractAsyncContextManager[Running]]


@pytest.fixture
def start_gateway(opa: OpaServer, tool: Upstream, tmp_path: Path) -> StartGateway:
    """`async with start_gateway(decision_timeout_ms=200) as gateway:`"""

    def settings(more: dict[str, Any]) -> Settings:
        file = tmp_path / "registry.json"
        file.write_text(json.dumps(more.pop("registry", registry(tool.url))))
        known = {
            "registry_file": file,
            "journal_dir": tmp_path / "journal",
            "opa_url": opa.url,
            "opa_socket": opa.socket,
            "registry_reread_ms": 20,
            "drain_timeout_s": 2,
        }
        return Settings(**(known | more))

    @contextlib.asynccontextmanager
    async def start(**more: Any) -> AsyncIterator[Running]:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        configured = settings(more)
        server = uvicorn.Server(configuration(configured))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await eventually(lambda: server.started or task.done(), 10)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            try:
                yield Running(port, configured, server, client)
            finally:
                await client.aclose()
                server.should_exit = True
                await task
                listener.close()

    return start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncIterator[Running]:
    async with start_gateway() as running:
        yield running


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    made = opened(tmp_path)
    yield made
    await made.aclose()
