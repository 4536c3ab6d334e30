"""docs/requirements.md and the tests agree: what is delivered is proven, what is marked is known."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([A-Z]+-\d{2}) \| .+ \| (yes|later|in part: .+) \|$", re.MULTILINE)


def requirements() -> dict[str, str]:
    """Every id of the page and whether it is delivered."""
    rows = ROW.findall((ROOT / "docs/requirements.md").read_text())
    assert len(rows) == len({identifier for identifier, _ in rows}), "an id stands twice"
    return dict(rows)


def marked() -> dict[str, str]:
    """Every id that a marker names, with one place where it does."""
    return {
        identifier: f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for identifier, line in markers(ast.parse(path.read_text()))
    }


def markers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The ids in every `pytest.mark.requirement(...)` of a file, decorators and `pytestmark` alike."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement":
            for argument in node.args:
                yield ast.literal_eval(argument), node.lineno


@pytest.mark.requirement("TST-01")
def test_every_delivered_requirement_has_a_test() -> None:
    proven = marked()
    assert [name for name, state in requirements().items() if state == "yes" and name not in proven] == []


@pytest.mark.requirement("TST-01")
def test_every_marker_names_a_known_requirement() -> None:
    known = requirements()
    assert {name: place for name, place in marked().items() if name not in known} == {}
