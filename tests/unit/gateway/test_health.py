"""Readiness is asked of what stands behind it at most once a second, whoever asks and however often."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.metrics import Metrics
from gateway.config import Settings
from gateway.edge.health import FRESH_S, Health
from gateway.edge.ingress import Request
from tests.fixtures import virtual_time

SETTINGS = Settings(registry_file=Path("r"), journal_dir=Path("j"))
LOOPBACK = ("127.0.0.1", 5)


class Behind:
    """What a check asks: takes its time and counts."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.asked = 0
        self.wrong = ""

    async def check(self) -> str:
        self.asked += 1
        await virtual_time.passes(self.takes_s)
        return self.wrong


async def status(health: Health) -> int:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing is read here")

    scope = {
        "method": "GET",
        "raw_path": b"/readyz",
        "query_string": b"",
        "headers": [(b"host", b"g")],
        "client": LOOPBACK,
    }
    request = Request(scope, receive, send, SETTINGS)
    request.check()
    await health.answer(request)
    return int(sent[0]["status"])


@pytest.mark.requirement("OPS-03")
@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("takes_s", [0.0, 0.3, 5.0])
def test_many_who_ask_are_one_question(takes_s: float) -> None:
    async def main() -> None:
        behind = Behind(takes_s)
        health = Health(SETTINGS, Metrics(), {"disk": behind.check})
        assert set(await asyncio.gather(*(status(health) for _ in range(50)))) == {200}
        behind.wrong = "full"
        assert await status(health) == 200
        assert behind.asked == 1
        await virtual_time.passes(FRESH_S)
        assert set(await asyncio.gather(*(status(health) for _ in range(50)))) == {503}
        assert behind.asked == 2

    virtual_time.run(main())


@pytest.mark.requirement("OPS-03")
def test_a_check_that_breaks_is_asked_again() -> None:
    async def main() -> None:
        behind = Behind(0.0)

        async def check() -> str:
            if await behind.check() == "":
                raise RuntimeError("a mistake")
            return ""

        health = Health(SETTINGS, Metrics(), {"disk": check})
        with pytest.raises(RuntimeError):
            await status(health)
        behind.wrong = "no more"
        await virtual_time.passes(FRESH_S)
        assert await status(health) == 200

    virtual_time.run(main())
