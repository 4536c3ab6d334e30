"""The commands of the how-to pages, run as they stand there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.stack import http_tool, up, write_config

PAGES = Path(__file__).parents[2] / "docs/how-to"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a stack that runs."""
    folder = tmp_path_factory.mktemp("how-to")
    with http_tool() as (tool, _seen), up(write_config(folder, tool), folder / "data") as stack:
        stack.wait_ready()
        yield folder / "data"


@pytest.mark.parametrize(
    ("page", "told"),
    [
        pytest.param("reconciliation", "The ledger is sound.", marks=pytest.mark.requirement("TRE-07")),
        pytest.param("backup", "The ledger is sound.", marks=pytest.mark.requirement("TRE-18")),
        pytest.param("top-ups", '"credited":false', marks=pytest.mark.requirement("TRE-16")),
    ],
)
def test_a_pages_commands_work(page: str, told: str, data: Path, tmp_path: Path) -> None:
    script = "\n".join(BLOCK.findall((PAGES / f"{page}.md").read_text()))
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TOLLHOUSE_DATA": str(data),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert told in done.stdout
