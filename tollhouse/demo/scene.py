"""The scene of the story: a whole stack of its own in a temporary folder, and two tools beside it."""

import asyncio
import json
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from rich.console import Console

TOOL_START_S = 30.0
STACK_START_S = 600.0
STOP_S = 30.0
SAID_LAST_CHARS = 4000

CONFIG = """\
tenant: acme
servers:
  bank:   {{kind: mcp,  url: "http://127.0.0.1:{bank}/mcp"}}
  search: {{kind: http, url: "http://127.0.0.1:{search}"}}
agents:
  - {{id: scout, role: executor}}
operators:
  - {{id: olga, role: executive}}
policy: policy.yaml
"""


class SceneFailed(Exception):
    """The stack or a tool did not start; the message holds what it said last."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A running stack (its ready line), and the folder that it lives in."""

    ready: dict[str, Any]
    data: Path

    @property
    def gateway(self) -> str:
        """The gateway's address."""
        return str(self.ready["gateway"])


@asynccontextmanager
async def opened(console: Console) -> AsyncIterator[Scene]:
    """Start the tools and the stack, and end all of it afterwards."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tollhouse-demo-")))
        with console.status("starting two tools: a bank (MCP) and a search engine (HTTP)"):
            bank = await _tool(stack, folder, "bank")
            search = await _tool(stack, folder, "search")
        (folder / "tollhouse.yaml").write_text(CONFIG.format(bank=bank, search=search))
        with as_file(files("tollhouse.demo") / "policy.yaml") as policy:
            shutil.copy(policy, folder / "policy.yaml")
        with console.status("starting PostgreSQL, NATS, OPA, treasury, control, relay and gateway"):
            ready = await _stack(stack, folder)
        yield Scene(ready, folder / "data")


async def _tool(stack: AsyncExitStack, folder: Path, name: str) -> int:
    process = await _start(stack, folder / f"{name}.log", "-m", f"tollhouse.demo.{name}")
    announced = await _first_line(process, TOOL_START_S, folder / f"{name}.log")
    return int(announced["port"])


async def _stack(stack: AsyncExitStack, folder: Path) -> dict[str, Any]:
    where = ("--config", str(folder / "tollhouse.yaml"), "--data", str(folder / "data"))
    process = await _start(stack, folder / "up.log", "-m", "tollhouse", "up", *where, "--json")
    ready = await _first_line(process, STACK_START_S, folder / "up.log")
    _drain(stack, process)
    return ready


async def _start(stack: AsyncExitStack, log: Path, *arguments: str) -> Process:
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, stderr=said)
    stack.push_async_callback(_end, process)
    return process


async def _first_line(process: Process, timeout_s: float, log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), timeout_s)
    if not line:
        raise SceneFailed(_last_words(log, await process.wait()))
    announced: dict[str, Any] = json.loads(line)
    return announced


def _last_words(log: Path, code: int) -> str:
    return f"{log.stem} ended with exit code {code}:\n{log.read_text()[-SAID_LAST_CHARS:]}"


def _drain(stack: AsyncExitStack, process: Process) -> None:
    """Read what the stack prints later on, so that it never waits for a reader."""
    assert process.stdout is not None
    reading = asyncio.create_task(process.stdout.read())
    stack.callback(reading.cancel)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
