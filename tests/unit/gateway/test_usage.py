"""What a metered call has used: never more than its time, never more than is held, and never twice."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.usage import Part, Tariff, Usage

pytestmark = [pytest.mark.requirement("TRE-15"), pytest.mark.requirement("TRE-14")]

TWO_A_SECOND = Tariff(2, 1, 600)
BEGAN_S = 100.0

tariffs = st.builds(
    Tariff, st.integers(1, 10_000), st.sampled_from([1, 60, 3_600]), st.integers(min_value=1, max_value=900)
)
moments = st.lists(
    st.tuples(st.floats(min_value=0.0, max_value=300.0, allow_nan=False), st.booleans()), max_size=12
)


def begun(tariff: Tariff = TWO_A_SECOND) -> Usage:
    usage = Usage(tariff)
    usage.begin(BEGAN_S)
    return usage


def test_whole_seconds_accrue_and_the_end_pays_for_the_one_that_had_begun() -> None:
    usage = begun()
    assert usage.part(BEGAN_S + 0.9) is None
    assert usage.part(BEGAN_S + 5.9) == (1, 10)
    usage.heard()
    assert usage.part(BEGAN_S + 5.99) is None
    assert usage.part(BEGAN_S + 7.0) == (2, 4)
    usage.heard()
    usage.end(BEGAN_S + 8.5)
    assert (usage.unheard(), usage.left_cents(), usage.all_parts()) == ((), 4, ((3, 4),))


def test_what_was_not_heard_stays_as_it_is_and_the_next_part_has_the_rest() -> None:
    usage = begun()
    assert [usage.part(BEGAN_S + at) for at in (5.0, 10.0, 15.0)] == [(1, 10)] * 3
    usage.end(BEGAN_S + 20.5)
    assert (usage.unheard(), usage.left_cents()) == (((1, 10),), 32)
    assert usage.all_parts() == ((1, 10), (2, 32))


def test_the_last_minor_unit_of_what_is_held_is_for_the_end() -> None:
    usage = begun(Tariff(2, 1, 10))
    assert usage.part(BEGAN_S + 10.0) == (1, 19)
    usage.heard()
    assert usage.part(BEGAN_S + 1_000.0) is None
    usage.end(BEGAN_S + 1_000.0)
    assert (usage.left_cents(), usage.all_parts()) == (1, ())


def test_nothing_is_used_before_it_has_begun() -> None:
    usage = Usage(TWO_A_SECOND)
    assert (usage.has_begun, usage.part(BEGAN_S)) == (False, None)
    usage.end(BEGAN_S)
    assert (usage.left_cents(), usage.all_parts()) == (0, ())


def test_begun_and_ended_are_told_once() -> None:
    usage = begun()
    usage.begin(BEGAN_S + 50)
    usage.end(BEGAN_S + 3)
    usage.end(BEGAN_S + 60)
    assert usage.left_cents() == 8


def test_a_clock_that_goes_back_uses_nothing() -> None:
    assert begun().part(BEGAN_S - 5) is None


def test_a_part_of_a_minor_unit_is_charged_once_at_the_end() -> None:
    usage = begun(Tariff(1, 3_600, 600))
    assert usage.part(BEGAN_S + 599) is None
    usage.end(BEGAN_S + 599)
    assert usage.left_cents() == 1


@given(tariff=tariffs, moments=moments)
def test_accruals_never_exceed_the_time_used_nor_what_is_held(
    tariff: Tariff, moments: list[tuple[float, bool]]
) -> None:
    """Whatever the treasury hears and whenever the call is looked at: no part comes in two forms, what
    accrued is at most the time's, and with the end at most what is held and a second more than the time."""
    usage, now_s, told = begun(tariff), BEGAN_S, dict[int, int]()
    for pause_s, is_heard in moments:
        now_s += pause_s
        part = usage.part(now_s)
        if part is not None:
            assert told.setdefault(*part) == part[1] > 0
        if is_heard:
            usage.heard()
        used = Fraction(now_s - BEGAN_S) * tariff.rate_cents / tariff.rate_seconds
        assert sum(told.values()) <= min(used, tariff.ceiling_cents() - 1)
    usage.end(now_s)
    left_cents = usage.left_cents()
    total = sum(told.values()) + left_cents
    seconds = min(int(now_s - BEGAN_S) + 1, tariff.max_seconds)
    assert left_cents >= 1
    assert total <= tariff.ceiling_cents()
    assert total - 1 < Fraction(seconds * tariff.rate_cents, tariff.rate_seconds) <= total
    assert_parts_follow(usage, told, total)


def assert_parts_follow(usage: Usage, told: dict[int, int], total: int) -> None:
    """Told as accruals alone, the last minor unit that is held is left over, and no number is used again."""
    parts: tuple[Part, ...] = usage.all_parts()
    assert all(told.get(number, cents) == cents for number, cents in parts)
    told |= dict(parts)
    assert list(told) == list(range(1, len(told) + 1))
    assert sum(told.values()) == min(total, usage.tariff.ceiling_cents() - 1)
