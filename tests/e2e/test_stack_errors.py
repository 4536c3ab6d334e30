"""What keeps `tollhouse up` from starting is told, and how to mend it; what comes later ends nothing."""

import json
import os
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fixtures.small_disk import file_system, fill
from tests.fixtures.stack import alive, up, wait_for, write_config
from tollhouse.local.data import DataFolder
from tollhouse.local.ports import free_port

TOOL = "http://127.0.0.1:9"
RESTART_S = 10.0


def refused(config: Path, data: Path, code: int, **variables: str) -> str:
    """The start fails with this exit code; what it said."""
    with up(config, data, variables=variables) as stack:
        assert stack.process.wait(30) == code
    return stack.stderr.read_text()


@pytest.mark.requirement("OPS-04")
def test_a_mistake_in_the_file(tmp_path: Path) -> None:
    config = write_config(tmp_path, TOOL, "gatway: {port: 1}")
    told = refused(config, tmp_path / "data", 2)
    assert f"{config}:9:1: gatway: unknown key; allowed here: agents, control, gateway" in told


@pytest.mark.requirement("OPS-04")
def test_a_mistake_in_the_policy(tmp_path: Path) -> None:
    config = write_config(tmp_path, TOOL)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        policy.read_text().replace("daily_budget_cents: 100000\n", "daily_budget_cents: lots\n")
    )
    assert f"{policy}:7:25: " in refused(config, tmp_path / "data", 2)


@pytest.mark.requirement("OPS-04")
def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        port = listener.getsockname()[1]
        config = write_config(tmp_path, TOOL, f"gateway: {{port: {port}}}")
        told = refused(config, tmp_path / "data", 1)
    assert f"Port {port}, which the file gives gateway, is in use" in told


@pytest.mark.requirement("OPS-01")
def test_a_second_stack_on_the_same_data(tmp_path: Path) -> None:
    config = write_config(tmp_path, TOOL)
    with up(config, tmp_path / "data") as first:
        first.wait_ready()
        told = refused(config, tmp_path / "data", 1)
        assert f"in use by another tollhouse up, pid {first.process.pid}" in told


@pytest.mark.requirement("OPS-01")
def test_no_opa_and_no_go(tmp_path: Path) -> None:
    config = write_config(tmp_path, TOOL)
    told = refused(config, tmp_path / "data", 1, PATH="/nonexistent", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "Open Policy Agent was not found" in told
    assert "install Go" in told


@pytest.mark.requirement("OPS-01")
def test_a_data_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = refused(write_config(tmp_path, TOOL), tmp_path / "file" / "data", 1)
    assert "cannot be used: Not a directory" in told


@pytest.mark.requirement("OPS-01")
@pytest.mark.requirement("AUD-01")
def test_journals_that_are_none_of_ours(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "data").folder("gateway")
    with closing(sqlite3.connect(folder / "journal-0.sqlite")) as connection:
        connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY)")
    (folder / "journal-1.sqlite").write_text("no database\n" * 100)
    first, second = refused(write_config(tmp_path, TOOL), tmp_path / "data", 1).splitlines()
    assert first.startswith(f"The journal {folder}/journal-0.sqlite has the layout of another version")
    assert second.startswith(f"The journal {folder}/journal-1.sqlite is no SQLite database")
    assert all("out of the folder and start again (keep it: " in told for told in (first, second))


@pytest.mark.requirement("OPS-01")
def test_a_full_disk(tmp_path: Path) -> None:
    with file_system(tmp_path / "small", 1):
        told = refused(write_config(tmp_path, TOOL), tmp_path / "small" / "data", 1)
    assert "is full" in told


@pytest.mark.requirement("OPS-01")
def test_a_disk_that_fills_up_ends_nothing_and_what_died_meanwhile_runs_again(tmp_path: Path) -> None:
    small = tmp_path / "small"
    with (
        file_system(small, 400),
        up(write_config(tmp_path, TOOL), small / "data") as stack,
    ):
        pid = stack.wait_ready()["pids"]["opa"]
        ready_file = small / "data" / "ready.json"
        fill(small / "filling")
        os.kill(pid, signal.SIGKILL)
        line = stack.line(RESTART_S)
        assert line == {"restarted": "opa", "pid": line["pid"]}
        wait_for(
            lambda: "ready.json cannot be written" in stack.stderr.read_text(), RESTART_S, "the complaint"
        )
        assert json.loads(ready_file.read_text())["pids"]["opa"] == pid
        (small / "filling").unlink()
        wait_for(
            lambda: json.loads(ready_file.read_text())["pids"]["opa"] == line["pid"],
            RESTART_S,
            "the new file",
        )
        assert alive(stack.process.pid)
        assert all(alive(each) for each in json.loads(ready_file.read_text())["pids"].values())
