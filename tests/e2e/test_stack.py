"""`tollhouse up`: everything comes up, is watched, goes down, and is found again."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fixtures.stack import (
    STOP_WITHIN_S,
    StackProcess,
    alive,
    http_tool,
    up,
    wait_for,
    write_config,
)

MEMBERS = {"postgres", "nats", "opa", "treasury", "control", "relay", "gateway"}
SECOND_START_S = 10.0
RESTART_S = 2.0
BUSY = 4  # how many times slower than its promise the machine of the tests may make it


@pytest.fixture(scope="module")
def tool() -> Iterator[str]:
    with http_tool() as (url, _):
        yield url


@pytest.fixture(scope="module")
def stack(tool: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackProcess]:
    """One stack for all tests of this file that leave it as it was."""
    folder = tmp_path_factory.mktemp("stack")
    with up(write_config(folder, tool), folder / "data") as running:
        running.wait_ready()
        yield running


def served(stack: StackProcess) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return stack.call().status_code == 200
    return False


def as_it_was(stack: StackProcess) -> bool:
    """All services say that they are ready: control needs a moment more than a call does."""
    with contextlib.suppress(httpx.HTTPError):
        urls = [stack.ready[name] for name in ("gateway", "treasury", "control")]
        return all(httpx.get(f"{url}/readyz").status_code == 200 for url in urls)
    return False


def kept_pids(stack: StackProcess) -> dict[str, int]:
    pids: dict[str, int] = json.loads((Path(stack.ready["data"]) / "ready.json").read_text())["pids"]
    return pids


@pytest.mark.requirement("OPS-01")
def test_the_ready_line_says_where_everything_is(stack: StackProcess) -> None:
    ready = stack.ready
    assert ready["ready"] is True
    assert set(ready["pids"]) == MEMBERS
    assert set(ready["agents"]) == {"scout"}
    assert ready["operator_key"] == ready["operators"]["olga"]
    assert ready["postgres"].startswith("postgresql://tollhouse_treasury:")
    for name in ("gateway", "treasury", "control"):
        readyz = httpx.get(f"{ready[name]}/readyz")
        assert (readyz.status_code, readyz.headers["X-Service"]) == (200, name)
    data = Path(ready["data"])
    kept = json.loads((data / "ready.json").read_text())
    assert {**kept, "pids": ready["pids"]} == ready
    assert all(alive(pid) for pid in kept["pids"].values())
    assert stat.S_IMODE((data / "ready.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


@pytest.mark.requirement("OPS-01")
def test_a_call_is_judged_and_forwarded(stack: StackProcess) -> None:
    answer = stack.call("/tools/search/q?x=1")
    assert (answer.status_code, answer.json()) == (200, {"path": "/q?x=1"})
    assert answer.headers["X-Decision-Id"]
    assert stack.call(key="").json()["code"] == "token_missing"
    assert stack.call(key="toll_unknown").json()["code"] == "token_invalid"


@pytest.mark.requirement("SEC-03")
def test_every_file_with_a_secret_is_ours_alone(stack: StackProcess) -> None:
    data = Path(stack.ready["data"])
    open_files = [
        path
        for path in data.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077 and not inside_0700(path, data)
    ]
    assert open_files == []


def inside_0700(path: Path, root: Path) -> bool:
    return any(
        stat.S_IMODE(parent.stat().st_mode) & 0o077 == 0
        for parent in path.parents
        if parent.is_relative_to(root)
    )


@pytest.mark.requirement("GW-02")
def test_a_created_key_opens_the_gateway_within_a_second(stack: StackProcess) -> None:
    command = [sys.executable, "-m", "tollhouse", "key", "create", "--agent", "late", "--role", "executor"]
    made = subprocess.run(
        [*command, "--data", stack.ready["data"]], capture_output=True, text=True, check=True
    )
    key = made.stdout.split()[-1]
    wait_for(lambda: stack.call(key=key).status_code == 200, 2.0, "the new key")


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_what_is_killed_runs_again_within_two_seconds(stack: StackProcess, name: str) -> None:
    wait_for(lambda: served(stack), 20.0, "the stack")
    killed_at = time.monotonic()
    os.kill(kept_pids(stack)[name], signal.SIGKILL)
    line = stack.line(RESTART_S * BUSY)
    assert line == {"restarted": name, "pid": line["pid"]}
    assert time.monotonic() - killed_at < RESTART_S * BUSY
    assert kept_pids(stack)[name] == line["pid"]
    assert alive(line["pid"])
    wait_for(lambda: served(stack), 20.0, "calls after the restart")
    wait_for(lambda: as_it_was(stack), 20.0, "all services after the restart")


@pytest.mark.requirement("OPS-01")
@pytest.mark.requirement("OPS-04")
def test_it_stops_clean_and_finds_everything_again(tool: str, tmp_path: Path) -> None:
    config, data = write_config(tmp_path, tool), tmp_path / "data"
    with up(config, data) as first:
        ready = first.wait_ready()
        assert first.stop() == 0
        wait_for(lambda: not any(map(alive, ready["pids"].values())), 1.0, "every process gone")
        assert not (data / "ready.json").exists()
        assert list(data.rglob(".*.json.*")) == []
        assert not (data / "postgres" / "draft").exists()
    started_at = time.monotonic()
    with up(config, data) as second:
        again = second.wait_ready()
        assert time.monotonic() - started_at < SECOND_START_S * BUSY
        assert {name: again[name] for name in again if name != "pids"} == {
            name: ready[name] for name in ready if name != "pids"
        }
        assert second.call().status_code == 200


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_terminal_ends_it_as_cleanly(tool: str, tmp_path: Path, number: signal.Signals) -> None:
    data = tmp_path / "data"
    with up(write_config(tmp_path, tool), data) as stack:
        pids = stack.wait_ready()["pids"].values()
        stack.process.send_signal(number)
        assert stack.process.wait(STOP_WITHIN_S) == 0
        assert not any(map(alive, pids))
        assert not (data / "ready.json").exists()


@pytest.mark.requirement("OPS-01")
def test_killed_itself_it_takes_everything_along_and_starts_again(tool: str, tmp_path: Path) -> None:
    config, data = write_config(tmp_path, tool), tmp_path / "data"
    with up(config, data) as first:
        pids = first.wait_ready()["pids"].values()
        first.process.kill()
        wait_for(lambda: not any(map(alive, pids)), 10.0, "every process gone")
    assert (data / "ready.json").exists()
    for words in (("ledger", "verify"), ("policy", "status")):
        assert "no stack is running" in says(*words, "--data", str(data))
    with up(config, data) as second:
        second.wait_ready()
        assert second.call().status_code == 200


@pytest.mark.requirement("OPS-01")
def test_without_restart_what_dies_is_told_and_the_rest_lives_on(tool: str, tmp_path: Path) -> None:
    with up(write_config(tmp_path, tool), tmp_path / "data", "--no-restart") as stack:
        ready = stack.wait_ready()
        os.kill(ready["pids"]["nats"], signal.SIGKILL)
        assert stack.line(RESTART_S * BUSY) == {"exited": "nats", "code": -9}
        assert stack.call().status_code == 200


@pytest.mark.requirement("OPS-01")
def test_asked_to_stop_while_it_starts_it_leaves_nothing(tool: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(write_config(tmp_path, tool), data) as stack:
        wait_for((data / "logs" / "nats.log").exists, 20.0, "the start")
        assert stack.stop() == 128 + signal.SIGTERM
        mine = str(data).encode()
        assert [pid for pid in running() if mine in command_line(pid)] == []


def running() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.mark.requirement("POL-04")
def test_opa_itself_says_which_policy_it_judges_by(stack: StackProcess) -> None:
    command = [sys.executable, "-m", "tollhouse", "policy", "status", "--data", stack.ready["data"]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    decision = stack.call()
    looked_up = httpx.get(
        f"{stack.ready['gateway']}/v1/decisions/{decision.headers['x-decision-id']}",
        headers={"Authorization": f"Bearer {stack.ready['agents']['scout']}"},
    ).json()
    assert f"revision {looked_up['policy']['revision']}" in said
    assert re.search(r"role executor +none +100000 +none +none", said)


def says(*words: str) -> str:
    """What a command that fails says on stderr."""
    command = [sys.executable, "-m", "tollhouse", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    return ended.stderr


@pytest.mark.parametrize("words", [("ledger", "verify"), ("policy", "status")])
def test_a_command_for_a_stack_says_that_there_is_none(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "no stack is running" in says(*words, "--data", str(tmp_path))
