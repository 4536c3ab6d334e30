"""NATS starts wherever a person keeps their data."""

from pathlib import Path

import pytest

from tollhouse.local.nats import Nats, service_users
from tollhouse.local.ports import free_port

PASSWORDS = {name: f"{name}-secret" for name in ("gateway", "relay", "control", "replayer")}


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize("name", ["josé", "a b", "it's", 'say "x"'])
def test_a_folder_of_any_name_will_do(tmp_path: Path, name: str) -> None:
    nats = Nats(tmp_path / name, tmp_path / "nats.log", free_port(), service_users(PASSWORDS))
    child = nats.prepare()
    child.start()
    try:
        child.wait_until(nats.is_ready, 10.0)
        assert (tmp_path / name / "jetstream").is_dir()
    finally:
        child.stop(10.0)
