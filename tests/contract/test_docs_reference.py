"""The reference says what the code says: every code, every event, every command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.codes import STATUS
from schemas.events.registry import SCHEMAS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
CODE = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \| (.+?) \|", re.MULTILINE)


@pytest.mark.requirement("GW-20")
def test_every_code_stands_there_once_with_its_status_and_meaning() -> None:
    rows = [(code, int(status)) for code, status, _ in CODE.findall((REFERENCE / "codes.md").read_text())]
    assert len(rows) == len(dict(rows)), "a code stands there twice"
    assert dict(rows) == STATUS


@pytest.mark.requirement("EVT-01")
def test_every_event_stands_there_with_every_field() -> None:
    page = (REFERENCE / "events.md").read_text()
    told = {part.split("\n", 1)[0]: part for part in page.split("\n## ")}
    for name, schema in SCHEMAS.items():
        event_type = name.rsplit(".", 2)[0]
        if "." in event_type:
            assert set(re.findall(r"^\| `(\w+)` \|", told[event_type], re.MULTILINE)) == set(
                schema["properties"]
            )


def test_the_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"run: python docs/generate.py\n{done.stderr}"
