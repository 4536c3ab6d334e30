"""A real MCP server, a real OPA with the shipped Rego, and the real gateway between them and a client."""

import asyncio
import hashlib
import json
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from mcp.server.mcpserver import Context, MCPServer

from gateway.app import create_app
from gateway.config import Settings
from gateway.edge import listener

REGO = Path(__file__).parents[3] / "rego"
KEYS = {"scout-key": "scout", "rival-key": "rival"}
GRANTS = {
    "bank.balance": {"additional_arguments": True},
    "bank.slow_count": {"additional_arguments": True},
    "bank.transfer": {
        "arguments": {"amount": {"type": "number", "maximum": 500}},
        "additional_arguments": False,
    },
    "bank.fail": {"additional_arguments": True},
}


@dataclass
class Bank:
    """What the tools did."""

    calls: list[str] = field(default_factory=list)
    counting: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


def bank_server(bank: Bank) -> MCPServer:
    server = MCPServer("bank")

    @server.tool()
    def balance(account: str) -> str:
        """How much is on an account."""
        bank.calls.append("balance")
        return f"{account}: 17"

    @server.tool()
    def transfer(amount: float) -> str:
        """Move money."""
        bank.calls.append("transfer")
        return f"moved {amount}"

    @server.tool()
    def steal() -> str:
        """Nobody's role has this."""
        bank.calls.append("steal")
        return "stolen"

    @server.tool()
    def fail() -> str:
        """Always an error."""
        bank.calls.append("fail")
        raise ValueError("no such account")

    @server.tool()
    async def slow_count(ctx: Context) -> str:
        """One, then a wait, then the rest."""
        bank.calls.append("slow_count")
        await ctx.report_progress(1, 3)
        bank.counting.set()
        while not bank.go_on.is_set():
            await asyncio.sleep(0.01)
        await ctx.report_progress(2, 3)
        return "counted"

    @server.resource("bank://rules")
    def rules() -> str:
        """The small print."""
        return "be nice"

    return server


@contextmanager
def served(app: Any, **config: Any) -> Iterator[str]:
    """The application under uvicorn in a thread; its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(app, log_config=None, lifespan="on", ws="none", **config)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def policy_bundle(folder: Path) -> Path:
    """The shipped Rego with one role."""
    bundle = folder / "bundle"
    ignored = shutil.ignore_patterns("*_test.rego", "data.yaml", "system", "compliance")
    shutil.copytree(REGO, bundle, ignore=ignored)
    role = {
        "tools": GRANTS,
        "patterns": [],
        "budgets": [{"scope": "role", "window": "day", "limit_cents": 1000}],
        "rate_limit": {},
        "redact": [],
        "spend": {"purposes": [], "payees": [], "ceiling_cents": 0},
    }
    policy = {"version": "1.0", "revision": "0" * 64, "currency": "USD"}
    data = {"gateway": {"policy": policy, "roles": {"executor": role}, "spend": {"rules": []}}}
    (bundle / "data.json").write_text(json.dumps(data))
    return bundle


def settings(folder: Path, opa: Any, servers: dict[str, dict[str, str]], **more: Any) -> Settings:
    """Of a gateway that knows these servers and the agents of `KEYS`."""
    keys = {
        hashlib.sha256(key.encode()).hexdigest(): {"agent": agent, "role": "executor", "tenant": "acme"}
        for key, agent in KEYS.items()
    }
    registry = folder / "registry.json"
    registry.write_text(json.dumps({"tenant": "acme", "servers": servers, "keys": keys}))
    (folder / "journal").mkdir(exist_ok=True)
    return Settings(
        registry_file=registry,
        journal_dir=folder / "journal",
        opa_url=opa.url,
        opa_socket=opa.socket,
        drain_timeout_s=1,
        **more,
    )


def gateway(configured: Settings) -> Any:
    """The real gateway, as `served` takes it."""
    return served(create_app(configured), http=listener.protocol(configured))


@asynccontextmanager
async def agent(key: str = "scout-key") -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with an agent's key."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=10) as client:
        yield client


def records(configured: Settings, read: Callable[[Path], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What all journals of a gateway hold."""
    return [record for path in configured.journal_dir.glob("*.sqlite*") for record in read(path)]
