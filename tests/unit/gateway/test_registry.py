"""The registry's file: taken when it is good, kept as it was when it is not."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.edge.registry import Registry, RegistryBroken
from gateway.errors import BadRequest

SCOUT = {"agent": "scout", "role": "executor", "tenant": "acme"}
GOOD: dict[str, Any] = {
    "tenant": "acme",
    "servers": {"bank": {"kind": "mcp", "url": "http://127.0.0.1:9101/mcp/"}},
    "keys": {hashlib.sha256(b"key").hexdigest(): SCOUT},
    "operators": {hashlib.sha256(b"olga").hexdigest(): {"id": "olga", "role": "executive", "tenant": "acme"}},
}


def written(folder: Path, document: Any) -> Path:
    """A file that replaces the last one, as an editor would."""
    aside = folder / "registry.json.new"
    aside.write_text(document if isinstance(document, str) else json.dumps(document))
    return aside.replace(folder / "registry.json")


@pytest.mark.requirement("GW-02")
def test_a_key_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    registry = Registry(written(tmp_path, GOOD))
    known = registry.key("key")
    assert known is not None
    assert (known.agent, known.role, known.tenant) == ("scout", "executor", "acme")
    assert registry.key(hashlib.sha256(b"key").hexdigest()) is None
    operator = registry.operator("olga")
    assert operator is not None
    assert registry.operator("key") is None
    assert registry.key("olga") is None


def test_servers_by_name(tmp_path: Path) -> None:
    registry = Registry(written(tmp_path, GOOD))
    assert registry.server("bank").url == "http://127.0.0.1:9101/mcp/"
    with pytest.raises(BadRequest) as refused:
        registry.server("absent")
    assert refused.value.code == "not_found"


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{",
        "[]",
        {},
        GOOD | {"extra": 1},
        GOOD | {"keys": {"key": SCOUT}},
        GOOD | {"servers": {"bank": {"kind": "ftp", "url": "http://x"}}},
        GOOD | {"servers": {"bank": {"kind": "http", "url": "file:///etc/passwd"}}},
        GOOD | {"servers": {"a/b": {"kind": "http", "url": "http://x"}}},
        '{"tenant": "a", "tenant": "b", "servers": {}, "keys": {}}',
    ],
)
def test_a_broken_file_stops_the_start_and_never_a_running_gateway(broken: Any, tmp_path: Path) -> None:
    with pytest.raises(RegistryBroken):
        Registry(written(tmp_path, broken))
    registry = Registry(written(tmp_path, GOOD))
    written(tmp_path, broken)
    registry.reread()
    assert registry.broken
    assert registry.key("key") is not None
    written(tmp_path, GOOD | {"keys": {}})
    registry.reread()
    assert not registry.broken
    assert registry.key("key") is None


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9101/mcp?api_key=abc",
        "http://127.0.0.1:9101/mcp?",
        "http://127.0.0.1:9101/mcp#top",
        "http://scout:secret@127.0.0.1:9101/mcp",
        "http://:9101/mcp",
        "http://127.0.0.1:70000/mcp",
        "http://127.0.0.1:0/mcp",
        "http://[::1/mcp",
    ],
)
def test_a_url_of_which_a_part_would_not_be_used_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryBroken, match=r"servers\.bank\.url: ") as refused:
        Registry(written(tmp_path, GOOD | {"servers": {"bank": {"kind": "mcp", "url": url}}}))
    assert "secret" not in str(refused.value)


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize("name", ["", "zwölf", "a b", "a\n", "-a", "a" * 65, "a/b"])
@pytest.mark.parametrize("part", ["keys", "operators", "issuers", "tenant"])
def test_agents_operators_and_tenants_have_plain_names(part: str, name: str, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"key").hexdigest()
    issuer = {"issuer": "i", "audience": "a", "jwks_url": "http://x", "algorithms": ["ES256"]}
    odd: dict[str, Any] = {
        "keys": {sha256: SCOUT | {"agent": name}},
        "operators": {sha256: {"id": name, "role": "executive", "tenant": "acme"}},
        "issuers": [issuer | {"subjects": {"s": SCOUT | {"tenant": name}}}],
        "tenant": name,
    }
    with pytest.raises(RegistryBroken, match=part):
        Registry(written(tmp_path, GOOD | {part: odd[part]}))


@pytest.mark.requirement("OPS-04")
def test_a_missing_file_keeps_the_last_registry_too(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    registry = Registry(file)
    file.unlink()
    registry.reread()
    assert "No such file" in registry.broken
    assert registry.key("key") is not None
    registry.reread()


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    registry = Registry(file)
    times = file.stat()
    with file.open("r+") as opened:
        opened.write("#")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    registry.reread()
    assert not registry.broken


@pytest.mark.requirement("GW-13")
def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "registry.json"
    with file.open("wb") as opened:
        opened.truncate(17 * 1024 * 1024)
    with pytest.raises(RegistryBroken):
        Registry(file)
