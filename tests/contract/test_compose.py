"""docker-compose.yml is the stack of `tollhouse up`: same members, same commands, same places."""

import re
import tomllib
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import yaml

from tests.fixtures import containers
from tests.fixtures.stack import write_config
from tollhouse.config import read_config
from tollhouse.local.data import DataFolder
from tollhouse.local.nats import Nats
from tollhouse.local.opa import Opa
from tollhouse.local.opa_binary import VERSION
from tollhouse.local.postgres import INITDB, SETTINGS
from tollhouse.local.prepare import NO_BINARY, PORTS
from tollhouse.local.stack import OURS, SERVERS, Stack

pytestmark = pytest.mark.requirement("OPS-02")

ROOT = Path(__file__).parents[2]
STEPS = {"files", "database"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The services by name, anchors resolved."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


@pytest.fixture
def stack(servers_folder: Path) -> Stack:
    """The stack whose files the containers read, with its data in a folder as short as `/data`."""
    folder = servers_folder / token_hex(4)
    folder.mkdir()
    config = write_config(folder, "http://tool:9102")
    return Stack.assemble(read_config(config), DataFolder.open(folder / "data"), NO_BINARY, PORTS)


def member(stack: Stack, kind: type[Any]) -> Any:
    return next(member.server for member in stack.members if isinstance(member.server, kind))


def in_containers(text: str, stack: Stack) -> str:
    return text.replace(str(stack.data.root), "/data")


def test_the_members_are_those_of_the_stack(compose: dict[str, Any], stack: Stack) -> None:
    assert set(compose) == {"net", *STEPS, *SERVERS, *OURS}
    assert {member.name for member in stack.members} == {*SERVERS, *OURS}


def test_the_images_are_those_that_tests_and_setup_take(compose: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in (*OURS, *STEPS):
        assert compose[name]["image"] == f"tollhouse:{version}"
    assert compose["net"]["image"] == compose["postgres"]["image"] == containers.POSTGRES_IMAGE
    assert compose["nats"]["image"] == containers.NATS_IMAGE
    assert compose["opa"]["image"] == f"openpolicyagent/opa:{VERSION}-static"


def test_opa_is_started_as_the_stack_starts_it(compose: dict[str, Any], stack: Stack) -> None:
    child = member(stack, Opa).prepare()
    told = [in_containers(word, stack) for word in child.command[1:]]
    assert compose["opa"]["command"] == told
    assert compose["opa"]["environment"] == {name: child.environment[name] for name in ("GOGC", "GOMEMLIMIT")}


def test_postgres_is_made_and_started_as_the_stack_does(compose: dict[str, Any]) -> None:
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    assert compose["postgres"]["command"] == ["postgres", *settings]
    environment = compose["postgres"]["environment"]
    assert environment["POSTGRES_INITDB_ARGS"].split() == list(INITDB)
    assert environment["POSTGRES_PASSWORD_FILE"] == "/data/credentials/postgres.password"


def test_nats_reads_the_configuration_that_is_written_for_it(compose: dict[str, Any], stack: Stack) -> None:
    written = in_containers(str(member(stack, Nats).configure()), stack)
    assert compose["nats"]["command"] == ["--config", written]


def test_the_gateway_alone_is_published_and_on_loopback(compose: dict[str, Any]) -> None:
    port = PORTS["gateway"]
    published = {name: service["ports"] for name, service in compose.items() if "ports" in service}
    assert published == {"net": [f"127.0.0.1:{port}:{port}"]}
    assert {service.get("network_mode") for name, service in compose.items() if name != "net"} == {
        "service:net"
    }


def test_what_serves_is_started_again(compose: dict[str, Any]) -> None:
    for name, service in compose.items():
        assert service["restart"] == ("no" if name in STEPS else "unless-stopped"), name


def test_what_is_under_way_has_the_time_that_the_stack_gives_it(
    compose: dict[str, Any], stack: Stack
) -> None:
    given = {member.name: compose[member.name].get("stop_grace_period") for member in stack.members}
    assert given == {member.name: f"{member.patience_s:.0f}s" for member in stack.members}


def test_no_container_has_more_rights_than_it_needs(compose: dict[str, Any]) -> None:
    made_by = re.search(r"^USER ([0-9]+:[0-9]+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert made_by is not None
    for name, service in compose.items():
        if name == "postgres":  # its image makes its folders as root, and lets go of that itself
            continue
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        if name in ("net", "nats", "opa"):
            assert service["user"] == made_by[1], name
