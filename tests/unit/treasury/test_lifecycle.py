"""States follow each other only as the tables say."""

import pytest

from treasury.core.authorization import AUTHORIZATION, HOLD, LIVE
from treasury.core.intent import FOLLOWS, INTENT
from treasury.core.lifecycle import UNBORN, IllegalTransition, Lifecycle

pytestmark = pytest.mark.requirement("TRE-02")


@pytest.mark.parametrize("table", [INTENT, AUTHORIZATION, HOLD], ids=lambda table: table.noun)
def test_every_other_step_is_refused(table: Lifecycle) -> None:
    states = {new for _noun, _old, new in table.pairs()}
    for old in states | {UNBORN}:
        for new in states:
            if (table.noun, old, new) in table.pairs():
                assert table.step(old, new) == new
            else:
                with pytest.raises(IllegalTransition):
                    table.step(old, new)


def test_only_the_approved_execute() -> None:
    assert [old for _, old, new in AUTHORIZATION.pairs() if new == "executed"] == ["approved"]


def test_an_intent_follows_its_authorization() -> None:
    for _noun, _old, new in AUTHORIZATION.pairs():
        assert FOLLOWS[new] in {state for _n, _o, state in INTENT.pairs()}
    assert {"pending", "approved", "executed"} == LIVE
