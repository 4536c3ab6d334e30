"""The drawings of money's states show every step that the tables allow, and no other."""

import re
from pathlib import Path

import pytest

from treasury.core.authorization import AUTHORIZATION, HOLD
from treasury.core.lifecycle import UNBORN, Lifecycle

PAGE = Path(__file__).parents[2] / "docs/architecture.md"


@pytest.mark.requirement("TRE-02")
@pytest.mark.parametrize("lifecycle", [AUTHORIZATION, HOLD], ids=lambda lifecycle: lifecycle.noun)
def test_a_drawing_is_the_table(lifecycle: Lifecycle) -> None:
    drawn = re.search(rf"state {lifecycle.noun} {{(.*?)}}", PAGE.read_text(), re.DOTALL)
    assert drawn is not None
    steps = re.findall(r"(\[\*\]|\w+) --> (\w+)", drawn[1])
    assert {(lifecycle.noun, UNBORN if old == "[*]" else old, new) for old, new in steps} == lifecycle.pairs()
