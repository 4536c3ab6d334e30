"""`tollhouse events`: what the stream holds is listed, what was buried is listed and goes back."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nats
import pytest

from adapters.nats import Bus
from schemas.events.registry import Event
from tests.fixtures.bus import LossyBus
from tests.fixtures.events import decided, of_record
from tests.fixtures.servers import NATS_PASSWORDS
from tollhouse.local.data import LOCK, Lock
from tollhouse.local.ready_file import READY_FILE

pytestmark = pytest.mark.requirement("EVT-04")


@pytest.fixture
def data(lossy_bus: LossyBus, tmp_path: Path) -> Iterator[Path]:
    """The data folder of a running stack whose bus this is."""
    observer = lossy_bus.address("control").url.replace("nats://", "nats://operator:x@")
    (tmp_path / READY_FILE).write_text(json.dumps({"nats": observer}))
    (tmp_path / "secrets.json").write_text(
        json.dumps({"superuser": "x", "bus": {"replayer": NATS_PASSWORDS["replayer"]}})
    )
    with Lock(tmp_path / LOCK):
        yield tmp_path


def events(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command, as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tollhouse", "events", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def filled(bus: LossyBus, reasons: list[str]) -> list[Event]:
    """A stream of as many events, each of which was buried for its reason."""
    owner = await Bus.connect(bus.address("control"))
    await owner.ensure_streams()
    gateway = await Bus.connect(bus.address("gateway"))
    published = [of_record("decided", decided()) for _ in reasons]
    await gateway.publish_batch(published)
    consumer = await owner.consumer("recorder")
    messages = await consumer.fetch(len(reasons), 2) if reasons else []
    for message, reason in zip(messages, reasons, strict=True):
        await owner.bury("recorder", message, reason)
    await consumer.acknowledge(messages)
    await gateway.close()
    await owner.close()
    return published


def rows(result: "subprocess.CompletedProcess[str]") -> list[dict[str, object]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


async def listed(*arguments: str) -> list[dict[str, object]]:
    return rows(await asyncio.to_thread(events, "list", "--json", *arguments))


async def test_letters_are_listed_and_replayed(data: Path, lossy_bus: LossyBus) -> None:
    published = await filled(lossy_bus, ["first \x1b[31mreason", "second", "third"])
    here = ("--data", str(data))
    dead = await listed("--dead", *here)
    assert [row["reason"] for row in dead] == ["first  [31mreason", "second", "third"]
    assert {(row["consumer"], row["subject"]) for row in dead} == {("recorder", "gateway.decided")}
    one = await asyncio.to_thread(events, "replay", str(dead[1]["id"]), *here)
    assert one.stdout == f"replayed {dead[1]['id']} gateway.decided\n"
    again = await asyncio.to_thread(events, "replay", str(dead[1]["id"]), *here)
    assert again.returncode == 1
    assert "no dead letter" in again.stderr
    every = await asyncio.to_thread(events, "replay", "--all", *here)
    assert len(every.stdout.splitlines()) == 2
    assert await listed("--dead", *here) == []
    stream = await listed(*here)
    order = [0, 1, 2, 1, 0, 2]
    assert [row["event_id"] for row in stream] == [published[place]["event_id"] for place in order]


async def test_events_are_listed_newest_or_from_a_place(data: Path, lossy_bus: LossyBus) -> None:
    published = await filled(lossy_bus, ["a", "b", "c"])
    url = lossy_bus.address("control").url
    here = ("--data", str(data), "--nats", url)
    (data / READY_FILE).unlink()
    newest = await listed("--limit", "2", *here)
    assert [row["event_id"] for row in newest] == [event["event_id"] for event in published[1:]]
    first = await listed("--limit", "1", "--after", "0", *here)
    assert [row["type"] for row in first] == ["gateway.decided"]


async def test_a_table_shows_no_word_that_commands_the_terminal(data: Path, lossy_bus: LossyBus) -> None:
    await filled(lossy_bus, [])
    parts = urlsplit(lossy_bus.address("gateway").url)
    client = await nats.connect(f"nats://gateway:{NATS_PASSWORDS['gateway']}@{parts.netloc}")
    await client.publish("gateway.decided", b"\x1b[2Jno event")
    await client.flush()
    await client.close()
    shown = await asyncio.to_thread(events, "list", "--data", str(data))
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout
    assert "no event" in shown.stdout
    empty = await asyncio.to_thread(events, "list", "--dead", "--data", str(data))
    assert "nothing is there" in empty.stdout


@pytest.mark.parametrize("arguments", [("replay",), ("replay", "7", "--all"), ("list", "--limit", "0")])
def test_a_command_that_cannot_be_understood_says_so(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert events(*arguments, "--data", str(tmp_path)).returncode == 2


def test_without_a_stack_or_a_bus_it_says_so(data: Path, lossy_bus: LossyBus, tmp_path: Path) -> None:
    lossy_bus.kill()
    gone = events("list", "--data", str(data))
    assert gone.returncode == 1
    assert "cannot be asked" in gone.stderr
    (data / READY_FILE).unlink()
    nobody = events("list", "--data", str(data))
    assert nobody.returncode == 1
    assert nobody.stderr == (
        f"no stack is running in {data}: start one there (tollhouse up), or name its folder with --data DIR\n"
    )
    lossy_bus.start()
