"""Budgets: decided in the order of arrival, never above their limit."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.decision import Budget
from treasury.core.budget import (
    BudgetId,
    BudgetState,
    Charge,
    capture,
    charge,
    place,
    release,
    window_start,
)

pytestmark = pytest.mark.requirement("TRE-11")

AT = datetime(2026, 3, 14, 15, 9, 26, 535, tzinfo=UTC)
IDS = [BudgetId(key, "day", window_start("day", AT), "USD") for key in "abc"]

charges = st.lists(
    st.builds(
        Charge,
        st.integers(1, 50),
        st.dictionaries(st.sampled_from(IDS), st.integers(0, 120)),
    ),
    max_size=30,
)


@pytest.mark.parametrize(
    ("window", "start"),
    [
        ("hour", datetime(2026, 3, 14, 15, tzinfo=UTC)),
        ("day", datetime(2026, 3, 14, tzinfo=UTC)),
        ("month", datetime(2026, 3, 1, tzinfo=UTC)),
        ("lifetime", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_windows_begin_in_utc(window: str, start: datetime) -> None:
    assert window_start(window, AT) == start
    assert window_start(window, AT.astimezone(timezone(timedelta(hours=11)))) == start


def test_windows_do_not_follow_the_machines_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert window_start("hour", AT) == datetime(2026, 3, 14, 15, tzinfo=UTC)
        assert window_start("day", AT) == datetime(2026, 3, 14, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_last_cent_may_be_held_and_what_was_topped_up_is_room() -> None:
    state = BudgetState(100, held_cents=30, captured_cents=20, topped_up_cents=7)
    assert state.room_cents() == 57
    (lacking,), after = place({IDS[0]: state}, [Charge(57, {IDS[0]: 100})])
    assert (lacking, after[IDS[0]].held_cents) == (None, 87)
    assert place(after, [Charge(1, {IDS[0]: 100})])[0] == [IDS[0]]


@pytest.mark.requirement("TRE-15")
def test_a_budget_is_depleted_when_as_much_was_captured_as_there_is() -> None:
    held = BudgetState(100, held_cents=7, captured_cents=0, topped_up_cents=7)
    assert not capture(held, 6).is_depleted()
    assert not replace(held, held_cents=107).is_depleted()
    assert not replace(held, captured_cents=106).is_depleted()
    assert replace(held, captured_cents=107).is_depleted()
    assert replace(held, captured_cents=107, limit_cents=50).is_depleted()


@given(charges)
def test_no_budget_rises_above_the_limit_it_was_charged_with(wanted: list[Charge]) -> None:
    states: dict[BudgetId, BudgetState] = {}
    for one in wanted:
        (lacking,), after = place(states, [one])
        for budget, limit in one.limits.items():
            before = states.get(budget, BudgetState(limit))
            if lacking:
                assert after[budget].held_cents == before.held_cents
            else:
                assert after[budget].held_cents == before.held_cents + one.amount_cents <= limit
        states = after


@given(charges)
def test_a_list_is_decided_as_one_after_another(wanted: list[Charge]) -> None:
    together, after = place({}, wanted)
    serial: list[BudgetId | None] = []
    states: dict[BudgetId, BudgetState] = {}
    for one in wanted:
        outcome, states = place(states, [one])
        serial += outcome
    assert (together, after) == (serial, states)


@given(st.integers(0, 100), st.integers(0, 100))
def test_capture_keeps_the_sum_and_release_frees_it(held: int, captured: int) -> None:
    state = BudgetState(1_000, held, captured)
    assert capture(state, held).room_cents() == state.room_cents()
    assert release(state, held) == BudgetState(1_000, 0, captured)


def test_a_budget_named_twice_has_the_lower_limit() -> None:
    limits = [Budget(key="a", window="day", limit_cents=limit) for limit in (7, 5, 9)]
    assert charge(1, "USD", limits, AT) == Charge(1, {IDS[0]: 5})
