"""What a signal asks of a stack."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollhouse.local.child import Child
from tollhouse.local.stop import SIGNALS, StopAsked, stop_signals, whole

# The alarm that tests are timed by otherwise is the one that is tested here.
pytestmark = [pytest.mark.requirement("OPS-01"), pytest.mark.timeout(60, method="thread")]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of before, whatever a test does; the tests themselves may run under `nohup`."""
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
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


def test_one_that_was_lost_asks_again_until_it_is_heard() -> None:
    with stop_signals() as stop:
        with contextlib.suppress(StopAsked):
            signal.raise_signal(signal.SIGTERM)
        for _ in range(2):
            with pytest.raises(StopAsked) as asked:
                signal.pause()
            assert asked.value.code == 128 + signal.SIGTERM
        stop.heard()
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_up_only_notes_it(number: signal.Signals) -> None:
    with stop_signals() as stop:
        stop.watched()
        assert not stop.asked()
        signal.raise_signal(number)
        assert stop.asked()
        stop.heard()
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_where_nobody_looks_it_is_raised_once_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody reads: Python would take the write up again after each signal."""
    monkeypatch.setattr("tollhouse.local.stop.LOOKED_WITHIN_S", 0.05)
    reading, writing = os.pipe()
    with stop_signals() as stop:
        stop.watched()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopAsked):
            os.write(writing, bytes(1_000_000))
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    os.close(reading)
    os.close(writing)


def test_an_alarm_on_its_way_disturbs_nothing_that_was_heard() -> None:
    with stop_signals() as stop:
        with pytest.raises(StopAsked):
            signal.raise_signal(signal.SIGHUP)
        stop.heard()
        signal.raise_signal(signal.SIGALRM)
        assert stop.asked()


def test_nothing_is_raised_half_way_and_nothing_is_lost() -> None:
    with stop_signals():
        with whole:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopAsked):
            signal.pause()


class Asked(subprocess.Popen[bytes]):
    """A process that is asked after at the moment of the signal."""

    def __init__(self) -> None: ...

    def __del__(self) -> None: ...

    def poll(self) -> int | None:
        signal.raise_signal(signal.SIGTERM)
        return None


def test_asking_after_a_child_is_not_broken_off() -> None:
    child = Child("server", [], Path("log"), process=Asked())
    with stop_signals():
        assert child.code() is None
        with pytest.raises(StopAsked):
            signal.pause()


def test_no_child_inherits_deafness() -> None:
    with stop_signals():
        with contextlib.suppress(StopAsked):
            signal.raise_signal(signal.SIGTERM)
        assert signal.SIG_IGN not in [signal.getsignal(number) for number in SIGNALS]


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
