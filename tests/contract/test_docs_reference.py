"""The reference says what the code says: every code, every event, every command."""

import json
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


@pytest.mark.parametrize(
    ("surface", "prefix", "told"),
    [
        ("test_controls_surface_is_what_it_was", "", ""),
        ("test_the_treasurys_surface_is_what_it_was", "/v1/", "/api/treasury/"),
    ],
)
def test_every_route_that_reads_stands_there(surface: str, prefix: str, told: str) -> None:
    """The gateway passes the treasury's reads on below a path of its own."""
    page = (REFERENCE / "http.md").read_text()
    operations = json.loads(
        (Path(__file__).parent / "__snapshots__/test_openapi" / f"{surface}.json").read_text()
    )
    for operation in operations:
        method, path = operation.split(" ")
        if method == "GET" and path.startswith(prefix):
            route = re.sub(r"\{\w+\}", "{id}", told + path.removeprefix(prefix))
            assert f"`{route}`" in page or f"`{route}?" in page, route
