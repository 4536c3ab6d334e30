"""The wheel carries all that the stack needs: it runs from an environment that has no checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.fixtures.stack import http_tool, up, write_config

ROOT = Path(__file__).parents[2]
CARRIED = {
    "rego/gateway/decision/policy.rego",
    "rego/system/authz/policy.rego",
    "treasury/sql/migrations/0001_ledger.up.sql",
    "control/sql/migrations/",
    "schemas/events/envelope.v1.json",
    "tollhouse/demo/policy.yaml",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel in it; its dependencies are borrowed from ours, without network."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False, symlinks=True)
    interpreter = folder / "bin" / "python"
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        "--target",
        str(own),
    ]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


@pytest.mark.requirement("OPS-01")
def test_it_carries_rego_sql_schemas_and_demo(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [wanted for wanted in CARRIED if not any(name.startswith(wanted) for name in names)] == []
    assert [name for name in names if name.startswith(("tests/", "bench/", ".venv/"))] == []


@pytest.mark.requirement("OPS-01")
def test_the_stack_runs_from_it(python: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [python, "-P", "-c", "import tollhouse; print(tollhouse.__file__)"],
        cwd=tmp_path,
        env=clean(),
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(python.parents[1])
    with http_tool() as (tool, _):
        config = write_config(tmp_path, tool)
        with up(config, tmp_path / "data", python=str(python), variables=clean(), cwd=tmp_path) as stack:
            stack.wait_ready()
            assert stack.call().status_code == 200


@pytest.mark.requirement("OPS-01")
def test_the_demo_runs_from_it(python: Path, tmp_path: Path) -> None:
    """Its exit code is 0 only when every step went as announced."""
    told = subprocess.run(
        [python, "-m", "tollhouse", "demo"],
        cwd=tmp_path,
        env=clean(),
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def clean() -> dict[str, str]:
    """No way back to the checkout."""
    return {**os.environ, "PYTHONPATH": "", "PYTHONSAFEPATH": "1"}
