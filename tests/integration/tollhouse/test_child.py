"""A child process: it comes up or says why, ends when asked, and never outlives its parent."""

import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.stack import alive, wait_for
from tollhouse.local.child import LOG_MAX_BYTES, Child, StartFailed
from tollhouse.local.unprivileged import NAMESPACE, Unprivileged, runs


def child(tmp_path: Path, script: str) -> Child:
    return Child("server", ["/bin/sh", "-c", script], tmp_path / "server.log")


@pytest.mark.requirement("OPS-01")
def test_one_that_ends_while_starting_shows_its_last_words(tmp_path: Path) -> None:
    server = child(tmp_path, "echo no such option; exit 3")
    server.start()
    with pytest.raises(StartFailed, match=r"server ended with code 3 while starting") as failed:
        server.wait_until(lambda: False, 10)
    assert "no such option" in str(failed.value)
    assert str(tmp_path / "server.log") in str(failed.value)


@pytest.mark.requirement("OPS-01")
def test_one_that_never_answers_is_given_up(tmp_path: Path) -> None:
    server = child(tmp_path, "exec sleep 60")
    server.start()
    with pytest.raises(StartFailed, match="was not ready within"):
        server.wait_until(lambda: False, 0.1)
    server.stop(5)
    assert server.code() == -signal.SIGTERM


@pytest.mark.requirement("OPS-01")
def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    server = child(tmp_path, f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.05; done")
    server.start()
    wait_for((tmp_path / "deaf").exists, 5, "the trap")
    server.stop(0.2)
    assert server.code() == -signal.SIGKILL
    server.stop(0.2)


@pytest.mark.requirement("OPS-01")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    parent = (
        "import os, pathlib, sys; from tollhouse.local.child import Child\n"
        "one = Child('one', ['sleep', '60'], pathlib.Path(sys.argv[1]), {'PATH': os.environ['PATH']})\n"
        "one.start(); print(one.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    run = subprocess.run(
        [sys.executable, "-c", parent, str(tmp_path / "log")], stdout=subprocess.PIPE, check=False
    )
    wait_for(lambda: not alive(int(run.stdout)), 5, "the child's end")


def test_a_long_log_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    with (tmp_path / "server.log").open("wb") as log:
        log.truncate(LOG_MAX_BYTES + 1)
    server = child(tmp_path, "exit 0")
    server.start()
    server.stop(5)
    assert (tmp_path / "server.log.1").stat().st_size == LOG_MAX_BYTES + 1
    assert server.last_words().endswith(":\n")


def test_one_that_was_never_started_has_nothing_to_stop(tmp_path: Path) -> None:
    server = child(tmp_path, "exit 0")
    server.stop(1)
    assert (server.pid, server.code()) == (0, None)
    assert "left no log" in server.last_words()


@pytest.mark.requirement("OPS-01")
def test_root_is_somebody_else_for_postgres(tmp_path: Path) -> None:
    identity = Unprivileged.find(tmp_path / "postgres", Path("/bin"))
    if os.geteuid() == 0 and runs(NAMESPACE):
        asked = subprocess.run([*identity.prefix, "id", "-u"], capture_output=True, check=True)
        assert int(asked.stdout) != 0
    else:
        assert identity.prefix == ()


@pytest.mark.requirement("OPS-01")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_without_namespaces_a_system_user_takes_over_in_a_folder_of_its_own(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    with pytest.raises(StartFailed, match="refuses to run as root") as refused:
        Unprivileged.as_system_user(tmp_path / "postgres", programs, tmp_path / "system")
    assert "Run tollhouse as an ordinary user" in str(refused.value)
    identity = Unprivileged.as_system_user(
        tmp_path / "postgres", Path("/usr/bin"), tmp_path / "system", "true"
    )
    assert identity.user in {"postgres", "nobody"}
    assert identity.folder.stat().st_uid == pwd.getpwnam(str(identity.user)).pw_uid
