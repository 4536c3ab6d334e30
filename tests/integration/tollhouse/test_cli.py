"""The command line as a person meets it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tollhouse import __version__
from tollhouse.local.data import LOCK, DataFolder, Lock
from tollhouse.local.ports import free_port
from tollhouse.local.ready_file import READY_FILE


def tollhouse(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tollhouse", *words],
        env={**os.environ, "COLUMNS": "100", **variables},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_it_says_its_version() -> None:
    assert tollhouse("--version").stdout == f"tollhouse {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("up",),
        ("demo",),
        ("doctor",),
        ("gateway",),
        ("key", "create"),
        ("policy", "check"),
        ("ledger", "verify"),
    ],
)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    told = tollhouse(*words, "--help")
    assert told.returncode == 0
    assert " ".join(words) in told.stdout
    assert "Traceback" not in told.stderr


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize("name", ["gateway", "treasury", "control", "relay"])
def test_a_service_without_its_settings_names_each_variable(name: str) -> None:
    told = tollhouse(name)
    assert told.returncode == 2
    assert f"tollhouse {name}: the settings are not right." in told.stderr
    assert f"  TOLLHOUSE_{name.upper()}_" in told.stderr
    assert "Field required" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.requirement("OPS-04")
def test_a_wrong_setting_is_named_without_its_value(tmp_path: Path) -> None:
    told = tollhouse(
        "gateway",
        TOLLHOUSE_GATEWAY_REGISTRY_FILE=str(tmp_path / "registry.json"),
        TOLLHOUSE_GATEWAY_JOURNAL_DIR=str(tmp_path),
        TOLLHOUSE_GATEWAY_PORT="a-secret-in-the-wrong-place",
    )
    assert told.returncode == 2
    assert "TOLLHOUSE_GATEWAY_PORT: Input should be a valid integer" in told.stderr
    assert "a-secret" not in told.stderr


@pytest.mark.requirement("OPS-01")
def test_doctor_finds_this_machine_well(tmp_path: Path) -> None:
    told = tollhouse("doctor", TOLLHOUSE_DATA=str(tmp_path / "data"))
    assert told.returncode == 0, told.stdout
    for what in ("Python", "Open Policy Agent", "PostgreSQL", "NATS", "data folder"):
        assert f"ok    {what}: " in told.stdout
    assert "ok    configuration: no tollhouse.yaml here; --config FILE names one" in told.stdout


@pytest.mark.requirement("OPS-01")
def test_doctor_says_what_is_wrong_and_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = tollhouse(
        "doctor",
        TOLLHOUSE_DATA=str(tmp_path / "file" / "data"),
        PATH="/nonexistent",
        XDG_CACHE_HOME=str(tmp_path),
    )
    assert told.returncode == 1
    assert "wrong Open Policy Agent: not here, and no Go to build it" in told.stdout
    assert "cannot be used: Not a directory" in told.stdout


CONFIG = """\
servers: {bank: {kind: http, url: "http://127.0.0.1:9"}}
agents: [{id: scout, role: executor}]
policy: policy.yaml
gateway: {port: %d}
"""


def examined(folder: Path, port: int, tool: str = "bank.pay", more: str = "") -> "tuple[int, str]":
    """What doctor says of a stack with these, and its exit code."""
    (folder / "policy.yaml").write_text(
        f'version: "1"\ncurrency: USD\nroles: {{executor: {{tools: [{tool}]}}}}\n'
    )
    (folder / "tollhouse.yaml").write_text(CONFIG % port + more)
    told = tollhouse(
        "doctor",
        "--config",
        str(folder / "tollhouse.yaml"),
        "--data",
        str(folder / "data"),
        TOLLHOUSE_DATA="/no",
    )
    return told.returncode, told.stdout


@pytest.mark.requirement("OPS-01")
@pytest.mark.requirement("OPS-04")
def test_doctor_looks_at_the_configuration_its_policy_and_its_ports(tmp_path: Path) -> None:
    port = free_port()
    code, told = examined(tmp_path, port)
    assert code == 0, told
    assert f"ok    data folder: {tmp_path}/data is not there yet and will be made in {tmp_path}\n" in told
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    assert f"ok    data folder: {tmp_path}/data\n" in examined(tmp_path, port)[1]
    assert list((tmp_path / "data").iterdir()) == []
    assert f"ok    configuration: {tmp_path}/tollhouse.yaml\n" in told
    assert f"ok    policy: {tmp_path}/policy.yaml\n" in told
    assert f"ok    port of gateway: {port} is free\n" in told


@pytest.mark.requirement("OPS-04")
def test_doctor_says_what_is_odd_in_a_policy_and_finds_it_well(tmp_path: Path) -> None:
    code, told = examined(tmp_path, 0, "bnak.pay")
    assert code == 0
    assert (
        f"odd   policy: {tmp_path}/policy.yaml:3:28: roles.executor.tools[0]: tollhouse.yaml has no s" in told
    )


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(
    ("tool", "more", "wrong"),
    [
        ("bank.pay", "oops: 1\n", "configuration: {}/tollhouse.yaml:5:1: oops: unknown key"),
        ("{nmae: x}", "", "policy: {}/policy.yaml:3:28: roles.executor.tools[0].name: is missing"),
    ],
)
def test_doctor_says_what_is_wrong_in_the_files(tmp_path: Path, tool: str, more: str, wrong: str) -> None:
    code, told = examined(tmp_path, 0, tool, more)
    assert code == 1
    assert f"wrong {wrong.format(tmp_path)}" in told


@pytest.mark.requirement("OPS-04")
def test_doctor_says_that_a_port_of_the_configuration_is_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        port = listener.getsockname()[1]
        code, told = examined(tmp_path, port)
        assert code == 1
        assert (
            f"wrong port of gateway: {port} is in use by another program: stop that program, or set " in told
        )
        stack = f'"gateway": "http://127.0.0.1:{port}", "treasury": "http://h:1", "control": "http://h:2"'
        DataFolder.open(tmp_path / "data")
        (tmp_path / "data" / READY_FILE).write_text(f"{{{stack}}}")
        with Lock(tmp_path / "data" / LOCK):
            code, told = examined(tmp_path, port)
    assert code == 0
    assert f"ok    port of gateway: {port} is that of the stack that runs in {tmp_path}/data\n" in told


@pytest.mark.requirement("OPS-04")
def test_doctor_takes_a_configuration_that_is_named_and_not_there_for_wrong(tmp_path: Path) -> None:
    told = tollhouse("doctor", "--config", str(tmp_path / "none.yaml"), "--data", str(tmp_path / "data"))
    assert told.returncode == 1
    assert f"wrong configuration: {tmp_path}/none.yaml: there is no such file" in told.stdout


INTERRUPTED_AT = """\
import os, signal, sys

module = sys.argv[1]

class Interrupter:
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins deaf to it
sys.meta_path.insert(0, Interrupter())
from tollhouse.cli import main
sys.argv[1:] = ["up", "--config", "none.yaml"]
main()
"""


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize(
    "module", ["typer", "tollhouse.services", "tollhouse.commands", "pydantic", "asyncpg"]
)
def test_a_command_that_is_interrupted_while_it_loads_ends_without_a_word(module: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT, module], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
