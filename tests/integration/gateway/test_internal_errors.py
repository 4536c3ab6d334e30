"""A gateway that fails at a call of a known caller: refused, on record, once."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.app import App
from gateway.core.record import Entry
from tests.integration.gateway.conftest import OTHER_KEY, Running, StartGateway, registry
from tests.integration.gateway.upstream import Upstream

pytestmark = pytest.mark.requirement("AUD-01")

MCP_CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay"}}


@dataclass
class Broken:
    """A part of the gateway with a mistake in it."""

    async def decide(self, question: dict[str, Any]) -> Any:
        raise RuntimeError("a mistake")

    async def send(self, *_request: Any) -> Any:
        raise RuntimeError("a mistake")

    def server(self, name: str) -> Any:
        raise RuntimeError("a mistake")

    async def append(self, entry: Entry) -> None:
        raise RuntimeError("a mistake")


def app(gateway: Running) -> App:
    """The application that the gateway listens for."""
    loaded = gateway.server.config.loaded_app
    assert isinstance(loaded, App)
    return loaded


def decided(gateway: Running) -> list[dict[str, Any]]:
    """What the journal has of decisions."""
    (path,) = gateway.settings.journal_dir.glob("*.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT record FROM records WHERE event = 'decided' ORDER BY seq")
        return [json.loads(record) for (record,) in rows]


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize("part", ["policy", "servers"])
@pytest.mark.parametrize("way", ["tools", "mcp"])
async def test_a_failure_before_the_record_is_a_refusal_on_record(
    part: str, way: str, start_gateway: StartGateway, tool: Upstream
) -> None:
    known = registry(tool.url)
    known["servers"]["search"]["kind"] = "http" if way == "tools" else "mcp"
    async with start_gateway(registry=known) as gateway:
        setattr(app(gateway)._house.gate, part, Broken())
        answer = await gateway.request("POST", f"/{way}/search", OTHER_KEY, json=MCP_CALL)
        assert answer.status_code == 500
        (record,) = decided(gateway)
    told = answer.json() if way == "tools" else answer.json()["error"]["data"]
    assert (told["code"], told["decision_id"]) == ("internal", record["decision_id"])
    assert "mistake" not in answer.text
    assert (record["allow"], record["reasons"][0]["code"]) == (False, "internal")
    assert record["principal"]["id"] == "ranger"
    assert tool.requests == []


async def test_a_failure_after_the_record_adds_none(gateway: Running, tool: Upstream) -> None:
    app(gateway)._house.gate.upstreams = Broken()
    answer = await gateway.get("/tools/search/open/x")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    (record,) = decided(gateway)
    assert record["allow"] is True
    assert (await gateway.decision(record["decision_id"]))["outcome"] == "unknown"


async def test_a_failure_that_cannot_be_recorded_is_refused_all_the_same(gateway: Running) -> None:
    house = app(gateway)._house
    whole, house.gate.journal = house.gate.journal, Broken()  # type: ignore[assignment]
    answer = await gateway.get("/tools/search/open/x")
    house.gate.journal = whole
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert decided(gateway) == []


async def test_a_stranger_leaves_no_record(gateway: Running) -> None:
    app(gateway)._house.gate.identity = Broken()  # type: ignore[assignment]
    answer = await gateway.get("/tools/search/open/x")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert decided(gateway) == []
