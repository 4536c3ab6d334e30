"""The drawings of money's states show every step that the tables allow, and no other."""

import re
from pathlib import Path

import pytest

from treasury.core.authorization import AUTHORIZATION, HOLD
from treasury.core.intent import INTENT
from treasury.core.lifecycle import UNBORN, Lifecycle
from treasury.core.resolution import BREAK
from treasury.core.workflow import WORKFLOW

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "architecture.md"
REFERENCE = DOCS / "reference/states.md"
TABLES = [INTENT, AUTHORIZATION, HOLD, WORKFLOW, BREAK]


@pytest.mark.requirement("TRE-02")
@pytest.mark.parametrize("lifecycle", [AUTHORIZATION, HOLD], ids=lambda lifecycle: lifecycle.noun)
def test_a_drawing_is_the_table(lifecycle: Lifecycle) -> None:
    drawn = re.search(rf"state {lifecycle.noun} {{(.*?)}}", PAGE.read_text(), re.DOTALL)
    assert drawn is not None
    steps = re.findall(r"(\[\*\]|\w+) --> (\w+)", drawn[1])
    assert {(lifecycle.noun, UNBORN if old == "[*]" else old, new) for old, new in steps} == lifecycle.pairs()


@pytest.mark.requirement("TRE-02")
@pytest.mark.parametrize("lifecycle", TABLES, ids=lambda lifecycle: lifecycle.noun)
def test_the_reference_draws_every_table(lifecycle: Lifecycle) -> None:
    drawn = re.search(
        rf"^## {lifecycle.noun}\n.*?^```mermaid\n(.*?)^```", REFERENCE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert drawn is not None
    steps = set(re.findall(r"(\[\*\]|\w+) --> (\[\*\]|\w+)", drawn[1]))
    ends = {old for old, new in steps if new == "[*]"}
    assert ends == {new for _, new in steps} - {old for old, new in steps if new != "[*]"} - {"[*]"}
    moves = {(UNBORN if old == "[*]" else old, new) for old, new in steps if new != "[*]"}
    assert {(lifecycle.noun, old, new) for old, new in moves} == lifecycle.pairs()


@pytest.mark.requirement("TRE-02")
def test_the_reference_draws_nothing_else() -> None:
    nouns = re.findall(r"^## (\w+)$", REFERENCE.read_text(), re.MULTILINE)
    assert nouns == [lifecycle.noun for lifecycle in TABLES]
