"""The data folder: whole files, one holder, keys that stay."""

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollhouse.keys import create
from tollhouse.local.child import StartFailed
from tollhouse.local.data import LOCK, DataFolder, Lock
from tollhouse.local.files import write_whole
from tollhouse.local.memory import choose_ports
from tollhouse.local.ports import free_port
from tollhouse.local.ready_file import READY_FILE, NoStack, running
from tollhouse.local.secrets import Secrets
from tollhouse.local.sockets import PATH_BYTES_MAX, socket_path
from tollhouse.registry import GATEWAYS, KEYS, REGISTRY, add_key, fingerprint, publish

REGISTRY_OF_ONE = {"tenant": "acme", "servers": {}, "keys": {}, "issuers": [], "operators": {}}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.requirement("SEC-03")
def test_the_folder_and_what_is_written_in_it_are_ours_alone(tmp_path: Path) -> None:
    data = DataFolder.open(tmp_path / "deep" / "data")
    assert mode(data.root) == 0o700
    assert mode(data.folder("gateway")) == 0o700
    write_whole(data / "secrets.json", "{}")
    assert mode(data / "secrets.json") == 0o600


@pytest.mark.requirement("OPS-01")
@pytest.mark.requirement("SEC-03")
def test_somebody_elses_folder_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(StartFailed, match=r"not empty and not a stack's \(in it: thesis\.tex\)"):
        DataFolder.open(tmp_path)
    assert mode(tmp_path) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.requirement("OPS-01")
def test_an_empty_folder_becomes_ours_with_the_mode_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    tmp_path.chmod(0o750)
    DataFolder.open(tmp_path)
    assert mode(tmp_path) == 0o750
    (tmp_path / "anything").write_text("")
    assert DataFolder.open(tmp_path).root == tmp_path


@pytest.mark.requirement("OPS-01")
def test_a_folder_of_ours_from_before_there_was_a_marker_is_known(tmp_path: Path) -> None:
    for name in ("secrets.json", "registry.json", "postgres"):
        (tmp_path / name).write_text("")
    assert DataFolder.open(tmp_path).root == tmp_path


@pytest.mark.requirement("OPS-01")
def test_a_folder_with_nothing_but_empty_ones_of_a_start_that_was_broken_off_becomes_ours(
    tmp_path: Path,
) -> None:
    (tmp_path / "postgres").mkdir(mode=0o700)
    (tmp_path / "logs").mkdir()
    assert DataFolder.open(tmp_path).root == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tollhouse", "logs", "postgres"]


@pytest.mark.requirement("OPS-01")
def test_what_a_start_that_was_broken_off_left_is_named_with_what_to_do(tmp_path: Path) -> None:
    for name in ("postgres", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17")
    told = f"broken off may have left {tmp_path}/postgres; remove it if nothing in it is yours"
    with pytest.raises(StartFailed, match=told):
        DataFolder.open(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "postgres"]


@pytest.mark.requirement("OPS-01")
def test_a_folder_that_is_looked_at_is_neither_made_nor_marked(tmp_path: Path) -> None:
    data, within = DataFolder.look(tmp_path / "deep" / "data")
    assert (data.root, within) == (tmp_path / "deep" / "data", tmp_path)
    assert DataFolder.look(tmp_path) == (DataFolder(tmp_path), None)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "thesis.tex").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    for path, why in (
        (tmp_path, "not empty and not a stack's"),
        (tmp_path / "thesis.tex", "Not a directory"),
        (tmp_path / "thesis.tex" / "data", "Not a directory"),
        (tmp_path / "nowhere", "Not a directory"),
    ):
        with pytest.raises(StartFailed, match=why):
            DataFolder.look(path)
    with pytest.raises(StartFailed, match=r"is full: \d+ MB are free"):
        DataFolder.look(tmp_path / "data", free_bytes_min=2**62)


LOOKING = """\
import os, sys
from pathlib import Path
from tollhouse.local.data import DataFolder
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
DataFolder.look(Path("/proc/self/cwd/data"))
"""


@pytest.mark.requirement("OPS-01")
def test_a_folder_that_cannot_be_made_where_it_is_named_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    told = subprocess.run(
        [sys.executable, "-c", LOOKING, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "it is not there, and /proc/self/cwd is read-only" in told.stderr


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize("name", ["mine", "postgres"])
def test_an_empty_folder_of_another_name_or_a_link_is_somebodys(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    if name == "mine":
        (tmp_path / "data" / name).mkdir()
    else:
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartFailed, match="cannot be used"):
        DataFolder.open(tmp_path / "data")


@pytest.mark.requirement("OPS-01")
def test_a_read_only_folder_is_told_and_not_changed(tmp_path: Path) -> None:
    DataFolder.open(tmp_path / "data")
    (tmp_path / "data").chmod(0o500)
    with pytest.raises(StartFailed, match="it is read-only"):
        DataFolder.open(tmp_path / "data")
    assert mode(tmp_path / "data") == 0o500


@pytest.mark.requirement("OPS-01")
def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(StartFailed, match="cannot be used: Not a directory"):
        DataFolder.open(tmp_path / "data")
    assert (tmp_path / "data").read_text() == "mine"


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.requirement("OPS-01")
def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartFailed, match="cannot be used: Not a directory"):
        DataFolder.open(tmp_path / "file" / "data")


@pytest.mark.requirement("OPS-01")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"full: .* MB are needed"):
        DataFolder.open(tmp_path, free_bytes_min=1 << 90)


@pytest.mark.requirement("OPS-01")
def test_a_live_lock_names_its_holder(tmp_path: Path) -> None:
    with (
        Lock(tmp_path / "lock"),
        pytest.raises(StartFailed, match=f"in use by another tollhouse up, pid {os.getpid()}"),
        Lock(tmp_path / "lock"),
    ):
        pytest.fail("two holders")


@pytest.mark.requirement("OPS-01")
def test_a_stale_lock_is_no_obstacle(tmp_path: Path) -> None:
    holder = (
        "import os, sys, pathlib; from tollhouse.local.data import Lock\n"
        "Lock(pathlib.Path(sys.argv[1])).__enter__(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", holder, str(tmp_path / "lock")], check=False)
    assert (tmp_path / "lock").read_text().strip()
    with Lock(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.requirement("OPS-01")
def test_a_stack_runs_where_its_ready_file_is_and_its_lock_is_held(tmp_path: Path) -> None:
    with Lock(tmp_path / LOCK):
        with pytest.raises(NoStack, match="no stack is running"):
            running(tmp_path)
        (tmp_path / READY_FILE).write_text('{"ready": true}')
        assert running(tmp_path) == {"ready": True}
    with pytest.raises(NoStack, match="no stack is running"):
        running(tmp_path)


@pytest.mark.requirement("OPS-01")
def test_secrets_are_kept(tmp_path: Path) -> None:
    fresh = Secrets.load(tmp_path / "secrets.json")
    password = fresh.password("tollhouse_treasury")
    fresh.save(tmp_path / "secrets.json")
    kept = Secrets.load(tmp_path / "secrets.json")
    assert kept.password("tollhouse_treasury") == password
    assert kept.token("opa.gateway") != kept.token("opa.operator")


def test_broken_secrets_are_told_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(StartFailed, match="cannot be read"):
        Secrets.load(tmp_path / "secrets.json")


@pytest.mark.requirement("OPS-01")
def test_ports_are_kept_while_they_are_free_and_a_given_one_in_use_is_told(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    first = choose_ports(memory, ("gateway", "opa"), {})
    assert choose_ports(memory, ("gateway", "opa"), {}) == first
    with occupied() as port:
        memory.write_text(json.dumps({"gateway": port, "opa": first["opa"]}))
        assert choose_ports(memory, ("gateway", "opa"), {})["gateway"] != port
        with pytest.raises(StartFailed, match=f"Port {port}, which the file gives gateway, is in use"):
            choose_ports(memory, ("gateway", "opa"), {"gateway": port})


@pytest.mark.requirement("OPS-01")
def test_a_port_that_the_file_gives_is_nobody_elses_though_it_was_the_last_time(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    port = choose_ports(memory, ("opa", "gateway"), {})["opa"]
    again = choose_ports(memory, ("opa", "gateway"), {"gateway": port})
    assert again["gateway"] == port
    assert again["opa"] != port


@pytest.mark.requirement("GW-02")
def test_a_created_key_is_kept_as_a_hash_and_survives_the_next_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, REGISTRY_OF_ONE, {"sha": {"name": "gateway"}})
    assert create(tmp_path, "scout", "executor", None) == 0
    key = capsys.readouterr().out.split()[-1]
    known = {fingerprint(key): {"agent": "scout", "role": "executor", "tenant": "acme"}}
    assert json.loads((tmp_path / REGISTRY).read_text())["keys"] == known
    assert key not in (tmp_path / KEYS).read_text()
    publish(tmp_path, REGISTRY_OF_ONE, {"sha": {"name": "gateway"}})
    assert json.loads((tmp_path / REGISTRY).read_text())["keys"] == known


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize(
    ("policy", "role", "warned"),
    [
        ({"gateway": {"roles": {"executor": {}}}}, "exceutor", True),
        ({"gateway": {"roles": {"executor": {}}}}, "executor", False),
        ({"gateway": {"policy": {}}}, "exceutor", False),
        (None, "exceutor", False),
    ],
)
def test_a_key_of_a_role_that_the_policy_does_not_know_is_made_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: object, role: str, warned: bool
) -> None:
    publish(tmp_path, REGISTRY_OF_ONE, {"sha": {"name": "gateway"}})
    if policy is not None:
        (tmp_path / "policy").mkdir()
        (tmp_path / "policy" / "data.json").write_text(json.dumps(policy))
    assert create(tmp_path, "scout", role, None) == 0
    told = capsys.readouterr()
    words = f"warning: the policy does not know the role {role}: scout may do nothing (known: executor)"
    assert (words in told.err) is warned
    assert told.out.startswith("toll_")


@pytest.mark.requirement("GW-02")
@pytest.mark.parametrize("by", ["keys", "issuers"])
def test_a_second_role_of_an_agent_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    scout = {"agent": "scout", "role": "executor", "tenant": "acme"}
    known = {"keys": {"ab": scout}, "issuers": [{"subjects": {"s": scout}}]}
    publish(tmp_path, {**REGISTRY_OF_ONE, by: known[by]}, {"sha": {"name": "gateway"}})
    for role, tenant in (("executor", None), ("viewer", "globex")):
        assert create(tmp_path, "scout", role, tenant) == 0
        assert "already" not in capsys.readouterr().err
    assert create(tmp_path, "scout", "executive", None) == 0
    assert capsys.readouterr().err.startswith(
        "warning: scout is known with the role executor already; with this key it has the role executive\n"
    )


@pytest.mark.requirement("GW-02")
def test_a_key_says_when_it_is_known_and_that_its_tenant_is_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, REGISTRY_OF_ONE, {"sha": {"name": "gateway"}})
    assert create(tmp_path, "scout", "executor", "globex") == 0
    assert capsys.readouterr().err == (
        "warning: globex is not the tenant of this stack, acme, whose operators see nothing of scout\n"
        "scout (executor, globex) is known to the gateway as soon as the stack runs. Shown only now:\n"
    )
    with Lock(tmp_path / LOCK):
        assert create(tmp_path, "scout", "executor", "acme") == 0
    assert capsys.readouterr().err == (
        "scout (executor, acme) is known to the gateway within a second. Shown only now:\n"
    )


def test_a_key_for_another_tenant(tmp_path: Path) -> None:
    publish(tmp_path, REGISTRY_OF_ONE, {"sha": {"name": "gateway"}})
    assert add_key(tmp_path, "key", "scout", "executor", "globex") == "globex"
    pinned = json.loads((tmp_path / GATEWAYS).read_text())
    assert pinned == {"sha": {"name": "gateway", "tenants": ["acme", "globex"]}}


def test_keys_are_refused_without_a_stack_and_for_odd_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert create(tmp_path, "scout", "executor", None) == 1
    assert create(tmp_path, "sc out", "executor", None) == 2
    told = capsys.readouterr()
    assert "There is no stack" in told.err
    assert "--agent 'sc out'" in told.err
    assert told.out == ""


def test_a_socket_in_a_deep_folder_lives_in_a_short_one(tmp_path: Path) -> None:
    assert socket_path(Path("/d"), "opa.sock") == Path("/d/opa.sock")
    deep = tmp_path / ("x" * PATH_BYTES_MAX)
    short = socket_path(deep, "opa.sock")
    try:
        assert len(str(short)) <= PATH_BYTES_MAX
        assert socket_path(deep, "opa.sock") == short
        short.parent.chmod(0o755)
        with pytest.raises(StartFailed, match="not a folder of our own"):
            socket_path(deep, "opa.sock")
    finally:
        short.parent.rmdir()


@contextlib.contextmanager
def occupied() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        yield listener.getsockname()[1]
