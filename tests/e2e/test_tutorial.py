"""The README's five minutes, walked through literally: its files, its agent, its commands, its claims."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.fixtures.stack import up, wait_for
from tollhouse.local.ports import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
README = ROOT / "README.md"
SERVER_START_S = 20.0
ANSWER_S = 30.0


@dataclass
class Tutorial:
    """The tutorial's folder with free ports in place of its own, and what runs there."""

    folder: Path
    bank: str
    ready: dict[str, Any]

    @property
    def key(self) -> str:
        return str(self.ready["agents"]["scout"])

    def agent(self, **variables: str) -> list[str]:
        """What agent.py says, line by line."""
        return run(sys.executable, "agent.py", cwd=self.folder, **variables).splitlines()

    def ask(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(self.ready["gateway"] + path, headers=headers, timeout=10).json()

    def curl(self, command: str) -> Any:
        """What a command of the README answers, with this stack's address and key."""
        command = command.replace("http://127.0.0.1:8700", self.ready["gateway"])
        return json.loads(run("sh", "-c", command.replace("toll_...", self.key), cwd=self.folder))

    def ledger(self, command: str) -> str:
        data = str(self.ready["data"])
        return run(sys.executable, "-m", "tollhouse", "ledger", command, "--data", data, cwd=ROOT)


def run(*command: str, cwd: Path, **variables: str) -> str:
    environment = os.environ | variables
    done = subprocess.run(
        command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=ANSWER_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def server(script: Path) -> Iterator[int]:
    """One of the examples' servers on a free port."""
    port = free_port()
    log = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, str(script), str(port)], stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(port), SERVER_START_S, script.name)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    """The quickstart as the README has it, and a third-party server put beside the bank."""
    folder = tmp_path_factory.mktemp("tutorial") / "quickstart"
    shutil.copytree(EXAMPLES / "quickstart", folder)
    with server(folder / "bank.py") as bank, server(EXAMPLES / "third_party_server.py") as clock:
        config = folder / "tollhouse.yaml"
        clock_server = f'  clock: {{kind: mcp, url: "http://127.0.0.1:{clock}/mcp"}}\nagents:'
        text = config.read_text().replace(":9101/", f":{bank}/").replace("agents:", clock_server)
        config.write_text(text.replace("8700", str(free_port())))
        policy = folder / "policy.yaml"
        grant = "      - clock.get_current_time\n      - bank.get_balance"
        policy.write_text(policy.read_text().replace("      - bank.get_balance", grant))
        with up(config, folder.parent / "data") as stack:
            yield Tutorial(folder, f"http://127.0.0.1:{bank}/mcp", stack.wait_ready())


@pytest.mark.requirement("OPS-01")
@pytest.mark.requirement("GW-05")
def test_the_same_agent_with_another_url_and_header(tutorial: Tutorial) -> None:
    before = tutorial.agent(BANK_URL=tutorial.bank, BANK_KEY="")
    assert [line.partition(" -> ")[2].split()[0] for line in before] == ["ACC-7", "sent", "sent", "ACC-1"]
    gate = f"{tutorial.ready['gateway']}/mcp/bank"
    balance, small, large, close = tutorial.agent(BANK_URL=gate, BANK_KEY=tutorial.key)
    assert balance == "get_balance -> ACC-7 holds 5,034.00 USD"
    assert small == "send_money -> sent 25.00 USD to ACC-7"
    assert large.startswith("send_money -> refused: argument_refused ")
    assert close.startswith("close_account -> refused: tool_not_allowed ")

    decision = tutorial.ask(f"/v1/decisions/{large.rpartition(' ')[2]}")
    assert (decision["action"]["name"], decision["outcome"]) == ("bank.send_money", "refused")
    [budget] = tutorial.ask("/api/treasury/budgets")["items"]
    assert (budget["limit_cents"], budget["remaining_cents"]) == (100_000, 97_500)
    assert re.search(r"bank\D+25\.00\D+0\.00\D", tutorial.ledger("trial-balance"))
    assert "The ledger is sound." in tutorial.ledger("verify")
    assert tutorial.ledger("holds") == "no hold is unknown\n"

    authorize, execute = re.findall(r"^curl .*\\\n.* -d '(?:.*\n)*?.*}'$", README.read_text(), re.MULTILINE)
    authorized = tutorial.curl(authorize)
    assert (authorized["status"], authorized["ceiling_cents"]) == ("approved", 5000)
    executed = tutorial.curl(execute.replace("01a1fe1a-...", authorized["intent_id"]))
    assert (executed["status"], executed["amount_cents"]) == ("executed", 5000)


@pytest.mark.parametrize(
    ("server", "told"),
    [("bank", "the API key is not known"), ("nobank", "the API key is not known"), ("", "")],
)
def test_an_agent_that_gets_nowhere_says_why_in_one_line(tutorial: Tutorial, server: str, told: str) -> None:
    url = f"{tutorial.ready['gateway']}/mcp/{server}" if server else f"http://127.0.0.1:{free_port()}/"
    variables = {**os.environ, "BANK_URL": url, "BANK_KEY": "toll_wrong"}
    ended = subprocess.run(
        [sys.executable, "agent.py"],
        env=variables,
        cwd=tutorial.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"nothing could be done at {url}: {told}")


@pytest.mark.requirement("GW-05")
async def test_a_third_party_server_behind_the_gate(tutorial: Tutorial) -> None:
    """Two protocol eras, and nothing of the server's own answers is lost."""
    headers = {"Authorization": f"Bearer {tutorial.key}"}
    url = f"{tutorial.ready['gateway']}/mcp/clock"
    for mode in ("legacy", "auto"):
        async with (
            httpx2.AsyncClient(headers=headers, timeout=20) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as clock,
        ):
            assert {tool.name for tool in (await clock.list_tools()).tools} >= {"get_current_time"}
            told = await clock.call_tool("get_current_time", {"timezone": "Europe/Warsaw"})
            assert told.structured_content is not None
            assert told.structured_content["timezone"] == "Europe/Warsaw"
            with pytest.raises(MCPError) as caught:
                await clock.call_tool("convert_time", {})
            assert caught.value.error.data["code"] == "tool_not_allowed"
