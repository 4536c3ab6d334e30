"""Looking at a stack from the inside, with every secret that its owner has."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import nats

from adapters.nats_permissions import DEAD_LETTERS_STREAM, EVENTS_STREAM

TABLES = (
    "workflows",
    "intents",
    "authorizations",
    "holds",
    "budgets",
    "journal_entries",
    "postings",
    "outbox",
)


@dataclass(frozen=True)
class Snapshot:
    """What an intruder would have changed: OPA's documents, the ledger's rows, the last of each stream."""

    policies: dict[str, str]
    roles: str
    rows: dict[str, int]
    last: dict[str, int]


def snapshot(ready: dict[str, Any]) -> Snapshot:
    """How everything stands now."""
    return asyncio.run(_snapshot(ready))


def rows(ready: dict[str, Any]) -> dict[str, int]:
    """How many rows the ledger's tables have."""
    return asyncio.run(_rows(ready))


def rows_of(ready: dict[str, Any], text: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the database answers to a question that goes past every service."""
    return asyncio.run(query(ready, text, *values))


async def _rows(ready: dict[str, Any]) -> dict[str, int]:
    counts = ", ".join(f"(SELECT count(*) FROM treasury.{table})" for table in TABLES)
    (found,) = await query(ready, f"SELECT {counts}")
    return dict(zip(TABLES, found, strict=True))


async def _snapshot(ready: dict[str, Any]) -> Snapshot:
    headers = {"Authorization": f"Bearer {kept(ready)['tokens']['opa.operator']}"}
    async with httpx.AsyncClient(base_url=ready["opa"], headers=headers) as opa:
        policies = (await opa.get("/v1/policies")).raise_for_status().json()["result"]
        roles = (await opa.get("/v1/data/gateway/roles")).raise_for_status().text
    texts = {policy["id"]: policy["raw"] for policy in policies}
    return Snapshot(texts, roles, await _rows(ready), await _last(ready))


async def _last(ready: dict[str, Any]) -> dict[str, int]:
    client = await nats.connect(ready["nats"], allow_reconnect=False)
    try:
        context = client.jetstream()
        return {
            stream: (await context.stream_info(stream)).state.last_seq
            for stream in (EVENTS_STREAM, DEAD_LETTERS_STREAM)
        }
    finally:
        await client.close()


async def query(ready: dict[str, Any], text: str, *values: Any) -> list[tuple[Any, ...]]:
    """Ask the database past every service."""
    connection = await asyncpg.connect(ready["postgres_admin"])
    try:
        return [tuple(row) for row in await connection.fetch(text, *values)]
    finally:
        await connection.close()


def kept(ready: dict[str, Any]) -> dict[str, Any]:
    """The secrets of the data folder."""
    secrets: dict[str, Any] = json.loads((Path(ready["data"]) / "secrets.json").read_text())
    return secrets


def secrets_of(ready: dict[str, Any]) -> list[str]:
    """All of them, as they would look where they leak."""
    secrets = kept(ready)
    groups = [secrets[name] for name in ("passwords", "bus", "tokens", "agents", "operators")]
    return [secrets["superuser"], *(secret for group in groups for secret in group.values())]


def role_dsn(ready: dict[str, Any], role: str) -> str:
    """How a service's own database role connects."""
    address = urlsplit(ready["postgres"])
    return f"postgresql://{role}:{kept(ready)['passwords'][role]}@{address.hostname}:{address.port}/tollhouse"


def bus_url(ready: dict[str, Any], user: str) -> str:
    """How a service connects to the bus."""
    address = urlsplit(ready["nats"])
    return f"nats://{user}:{kept(ready)['bus'][user]}@{address.hostname}:{address.port}"
