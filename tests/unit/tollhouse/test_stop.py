"""What a signal asks of a stack."""

import signal
from collections.abc import Iterator

import pytest

from tollhouse.local.stop import SIGNALS, StopAsked, stop_signals

pytestmark = pytest.mark.requirement("OPS-01")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of before, whatever a test does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_to_stop_and_no_other_disturbs_that(number: signal.Signals) -> None:
    with stop_signals():
        with pytest.raises(StopAsked) as asked:
            signal.raise_signal(number)
        for other in SIGNALS:
            signal.raise_signal(other)
    assert asked.value.code == 128 + number


def test_what_nohup_took_away_stays_away() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_signals():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_afterwards_signals_mean_what_they_meant() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop_signals():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before
