"""What the bench says of its measurements; the measuring itself is `make bench`."""

import os
from pathlib import Path

import pytest

from bench.gateway import BASE, CONNECTIONS, FLOOR, RSS_MAX_MB, Way, console, verdict
from bench.wrk import LoadFailed, Measure, read

SAID = """\
  Latency Distribution
     50%  734.00us
     75%    1.00ms
     99%    2.10ms
  12345 requests in 3.00s, 2.34MB read
Requests/sec:   4115.00
"""


def way(name: str, *rates: float, rss_mb: float | None = None) -> Way:
    runs = {count: [Measure(rate, 1, 2) for rate in rates] for count in CONNECTIONS}
    return Way(name, "", Path(), runs=runs, rss_mb=rss_mb)


@pytest.mark.requirement("PERF-01")
@pytest.mark.parametrize(("ours", "code"), [(1000, 0), (999, 1), (2000, 0)])
def test_the_floor_is_held_against_the_peer_of_the_same_run(ours: float, code: int) -> None:
    assert verdict([way(FLOOR, ours, rss_mb=RSS_MAX_MB), way(BASE, 1000)], partly=False) == code


@pytest.mark.requirement("PERF-01")
def test_a_ratio_is_one_of_the_same_minute_however_the_machine_changes() -> None:
    ours, peer = way(FLOOR, 1000, 3000, 2000, rss_mb=50), way(BASE, 1000, 1000, 4000)
    assert ours.ratio_to(peer, CONNECTIONS[-1]) == 1.0
    assert ours.per_s(CONNECTIONS[-1]) == 2000


@pytest.mark.requirement("PERF-01")
@pytest.mark.parametrize(("rss_mb", "code"), [(0.1, 0), (90.0, 0), (90.1, 1), (250.0, 1)])
def test_a_worker_has_at_most_90_mb_however_fast_it_is(rss_mb: float, code: int) -> None:
    ways = [way(FLOOR, 9000, rss_mb=50), way(BASE, 1000), way("Tollhouse, any other", 9000, rss_mb=rss_mb)]
    assert verdict(ways, partly=False) == code
    assert verdict([way(FLOOR, 9000, rss_mb=rss_mb), way(BASE, 1000)], partly=False) == code


@pytest.mark.requirement("PERF-01")
def test_the_memory_of_a_worker_is_that_of_its_process() -> None:
    measured = Way("any", "", Path(), pid=os.getpid())
    measured.weigh()
    assert measured.rss_mb is not None
    assert 5 < measured.rss_mb < 5_000
    peer = way(BASE, 1)
    peer.weigh()
    assert peer.rss_mb is None


@pytest.mark.requirement("PERF-01")
@pytest.mark.parametrize(
    "ways",
    [
        [],
        [way(FLOOR, 1000, rss_mb=50)],
        [way(BASE, 1000)],
        [way(BASE, 1000), way(FLOOR, 1000)],
        [way(BASE, 1000), way("Tollhouse, any other", 1000, rss_mb=50)],
    ],
)
def test_without_one_side_nothing_is_judged_and_nothing_is_held(ways: list[Way]) -> None:
    with console.capture() as said:
        assert verdict(ways, partly=False) == 2
        assert verdict(ways, partly=True) == 0
    assert said.get().count("not judged: ") == 2
    assert "held" not in said.get()


@pytest.mark.requirement("PERF-01")
def test_the_median_counts() -> None:
    assert way("any", 1, 900, 1000).per_s(CONNECTIONS[0]) == 900


@pytest.mark.requirement("PERF-01")
def test_wrk_is_read_in_milliseconds() -> None:
    assert read(SAID) == Measure(4115.0, 0.734, 2.1)


@pytest.mark.requirement("PERF-01")
@pytest.mark.parametrize(
    "said",
    [
        SAID + "  Non-2xx or 3xx responses: 1\n",
        SAID + "  Socket errors: connect 0, read 1, write 0, timeout 0\n",
        SAID.replace("4115.00", "0.00"),
        "",
    ],
)
def test_a_run_with_a_single_failure_measures_nothing(said: str) -> None:
    with pytest.raises(LoadFailed):
        read(said)
