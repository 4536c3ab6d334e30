"""Token buckets, in given time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.identify import Principal
from gateway.core.limit import TokenBuckets
from gateway.edge.rates import WorkerRates
from gateway.errors import BadRequest, Denied

SCOUT = Principal("scout", "executor", "acme", "api_key")


@given(st.lists(st.floats(0, 30), max_size=80), st.integers(1, 10), st.integers(1, 20))
def test_no_window_sees_more_than_a_burst_and_the_refill(
    pauses_s: list[float], calls: int, per_s: int
) -> None:
    buckets = TokenBuckets(10)
    now_s = 0.0
    granted: list[float] = []
    for pause_s in pauses_s:
        now_s += pause_s
        if not buckets.take(("a",), calls, per_s, now_s):
            granted.append(now_s)
    for start in granted:
        within = [at for at in granted if start <= at <= start + per_s]
        assert len(within) <= 2 * calls


def test_the_wait_is_long_enough() -> None:
    buckets = TokenBuckets(10)
    assert buckets.take(("a",), 1, 60, 0.0) == 0
    wait_s = buckets.take(("a",), 1, 60, 15.0)
    assert wait_s == pytest.approx(45)
    assert buckets.take(("a",), 1, 60, 15.0 + wait_s + 0.001) == 0


def test_agents_do_not_share_and_only_so_many_are_remembered() -> None:
    buckets = TokenBuckets(2)
    for key in ("a", "b", "c"):
        assert buckets.take((key,), 1, 60, 0.0) == 0
    assert buckets.take(("c",), 1, 60, 0.0) > 0
    assert buckets.take(("a",), 1, 60, 0.0) == 0


def test_an_obligation_is_read_strictly() -> None:
    rates = WorkerRates(10, lambda: 0.0)
    rates.take(SCOUT, {})
    rates.take(SCOUT, {"calls": 1, "per_s": 60})
    with pytest.raises(BadRequest) as refused:
        rates.take(SCOUT, {"calls": 1, "per_s": 60})
    assert (refused.value.code, refused.value.retry_after_s) == ("rate_limited", 60)
    for obligation in (
        {"calls": 0, "per_s": 1},
        {"calls": "1", "per_s": 1},
        {"calls": 1},
        {"calls": 1, "per_s": 0},
    ):
        with pytest.raises(Denied):
            rates.take(SCOUT, obligation)
