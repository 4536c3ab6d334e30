"""What the bench says of its measurements; the measuring itself is `make bench`."""

from pathlib import Path

import pytest

from bench.gateway import BASE, CONNECTIONS, FLOOR, Way, verdict
from bench.wrk import LoadFailed, Measure, read

SAID = """\
  Latency Distribution
     50%  734.00us
     75%    1.00ms
     99%    2.10ms
  12345 requests in 3.00s, 2.34MB read
Requests/sec:   4115.00
"""


def way(name: str, *rates: float) -> Way:
    return Way(
        name, "", Path(), runs={count: [Measure(rate, 1, 2) for rate in rates] for count in CONNECTIONS}
    )


@pytest.mark.requirement("PERF-01")
@pytest.mark.parametrize(("ours", "code"), [(1000, 0), (999, 1), (2000, 0)])
def test_the_floor_is_held_against_the_peer_of_the_same_run(ours: float, code: int) -> None:
    assert verdict([way(FLOOR, ours), way(BASE, 1000)]) == code


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
