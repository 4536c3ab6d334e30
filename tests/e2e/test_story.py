"""The story: it ends well only if every step went as announced."""

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tollhouse.demo.narrator import Answer, Narrator
from tollhouse.demo.scene import Scene
from tollhouse.demo.story import Story, StoryDiffers

CODES = (
    "tool_not_allowed",
    "argument_refused",
    "token_missing",
    "spend_exceeds_ceiling",
    "budget_exceeded",
    "policy_unavailable",
)
STEPS_MIN = 15


@pytest.mark.requirement("OPS-01")
def test_it_is_told_to_its_end_with_the_codes_that_were_really_answered() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tollhouse", "demo"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    announced = re.search(r"All (\d+) steps went as announced", told.stdout)
    assert announced
    assert int(announced[1]) >= STEPS_MIN
    assert told.stdout.count(" ✓ ") + told.stdout.count(" ✗ ") == int(announced[1])
    assert [code for code in CODES if code not in told.stdout] == []
    assert "The ledger is sound." in told.stdout
    assert re.search(r"limit 200\.00, spent \d+\.\d\d, held 90\.00 USD", told.stdout)
    accounts = re.findall(r"^ +([\w:-]+) +USD +(\d+\.\d\d) +(\d+\.\d\d) *$", told.stdout, re.MULTILINE)
    assert accounts[-1][0] == "total"
    assert accounts[-1][1] == accounts[-1][2]


@pytest.fixture
def narrator() -> Narrator:
    return Narrator(Console(file=StringIO()))


@pytest.mark.parametrize(
    "answer",
    [
        Answer("allowed", 200, "", ""),
        Answer("tool_not_allowed", 500, "", "", refused=True),
        Answer("policy_unavailable", 503, "", "", refused=True),
    ],
)
@pytest.mark.requirement("OPS-01")
def test_a_step_that_goes_differently_ends_it(narrator: Narrator, answer: Answer) -> None:
    story = Story(Scene({}, Path()), narrator)
    with pytest.raises(StoryDiffers, match="announced 403 tool_not_allowed"):
        story.expect("tries something", answer, "tool_not_allowed", 403)
    story.expect("tries again", Answer("tool_not_allowed", 403, "", ""), "tool_not_allowed", 403)
    assert narrator.told == 2
