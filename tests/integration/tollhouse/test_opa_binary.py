"""Finding OPA on PATH, in the cache, by download, by building: each in a folder of the test's own."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tollhouse.local.opa_binary import VERSION

FETCH = [sys.executable, "-m", "tollhouse.local.opa_binary"]


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_opa(path: Path, version: str) -> Path:
    return script(path, f"echo Version: {version}")


class Machine:
    """A machine with nothing on it but what the test puts there."""

    def __init__(self, root: Path) -> None:
        self.path = root / "bin"
        self.path.mkdir()
        self.cache = root / "cache"
        for tool in ("sh", "echo", "cp", "dirname"):
            (self.path / tool).symlink_to(shutil.which(tool) or "")

    @property
    def cached(self) -> Path:
        return self.cache / "tollhouse" / f"opa-{VERSION}" / "opa"

    def fetch(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if name.startswith(("COV", "PYTHON"))}
        environment = {**kept, "PATH": str(self.path), "XDG_CACHE_HOME": str(self.cache), **variables}
        return subprocess.run(FETCH, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class Release(BaseHTTPRequestHandler):
    """Answers every path with the same release."""

    content = b"#!/bin/sh\necho Version: 1.22.0\n"

    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/gone" else 200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def releases() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Release)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.requirement("OPS-01")
def test_one_on_path_that_is_new_enough_is_taken(machine: Machine) -> None:
    found = fake_opa(machine.path / "opa", "1.21.3")
    assert machine.fetch().stdout.strip() == str(found)


@pytest.mark.requirement("OPS-01")
def test_one_on_path_that_is_too_old_is_not(machine: Machine) -> None:
    fake_opa(machine.path / "opa", "1.21.2")
    cached = fake_opa(machine.cached, VERSION)
    assert machine.fetch().stdout.strip() == str(cached)


@pytest.mark.requirement("OPS-01")
def test_a_download_is_kept_when_its_checksum_is_right(machine: Machine, releases: str) -> None:
    checksum = hashlib.sha256(Release.content).hexdigest()
    fetched = machine.fetch(TOLLHOUSE_OPA_URL=f"{releases}/opa", TOLLHOUSE_OPA_SHA256=checksum)
    assert fetched.stdout.strip() == str(machine.cached), fetched.stderr
    assert machine.cached.read_bytes() == Release.content


@pytest.mark.requirement("OPS-01")
@pytest.mark.parametrize(("path", "told"), [("/opa", "was not kept"), ("/gone", "could not be downloaded")])
def test_another_download_is_not_kept(machine: Machine, releases: str, path: str, told: str) -> None:
    fetched = machine.fetch(TOLLHOUSE_OPA_URL=f"{releases}{path}", TOLLHOUSE_OPA_SHA256="0" * 64)
    assert fetched.returncode == 1
    assert told in fetched.stderr
    assert not machine.cached.exists()
    assert list(machine.cached.parent.iterdir()) == []


@pytest.mark.requirement("OPS-01")
def test_it_is_built_with_go_and_the_build_is_shown_and_kept(machine: Machine) -> None:
    fake_opa(machine.path / "built-opa", VERSION)
    script(
        machine.path / "go",
        f'echo "$@" > "{machine.path}/asked"; echo github.com/open-policy-agent/opa >&2\n'
        f'cp "{machine.path}/built-opa" "$GOBIN/opa"',
    )
    built = machine.fetch()
    assert built.stdout.strip() == str(machine.cached), built.stderr
    assert (machine.path / "asked").read_text().split()[-1].endswith(f"opa@v{VERSION}")
    assert f"building OPA {VERSION} with Go" in built.stderr
    (machine.path / "go").unlink()
    assert machine.fetch().stdout.strip() == str(machine.cached)


@pytest.mark.requirement("OPS-01")
def test_a_build_that_fails_says_why_and_keeps_nothing(machine: Machine) -> None:
    script(machine.path / "go", "echo no space left >&2; exit 1")
    built = machine.fetch()
    assert built.returncode == 1
    assert "could not be built" in built.stderr
    assert "no space left" in built.stderr
    assert list(machine.cached.parent.iterdir()) == []


@pytest.mark.requirement("OPS-01")
def test_without_opa_and_go_it_says_what_to_do(machine: Machine) -> None:
    missing = machine.fetch()
    assert missing.returncode == 1
    assert "Open Policy Agent was not found" in missing.stderr
    assert "install Go" in missing.stderr


def test_a_build_for_another_machine_is_not_kept(machine: Machine) -> None:
    script(machine.path / "go", 'echo broken > "$GOBIN/opa"')
    built = machine.fetch()
    assert "does not run on this machine" in built.stderr
    assert not machine.cached.exists()
