"""Metrics in Prometheus' text form, cheap enough for the hot path.

A count or an observation is a dictionary entry, written by the event loop's thread alone: no lock, no
label objects. Everything is turned into Prometheus' form only when somebody asks. Each metric has at
most `SERIES_MAX` combinations of labels; what comes beyond is counted under `other`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

SERIES_MAX: Final = 1_000
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[str, ...]
_Registered = TypeVar("_Registered", bound=Collector)


class Counter(Collector):
    """A number that only grows, one for each combination of labels."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self._name, self._help, self._labels = name, help_text, tuple(labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0}

    def count(self, *labels: str, by: float = 1) -> None:
        """Add `by` to the series of these label values, given in the order of the names."""
        values = self._values
        known = values.get(labels)
        if known is None:
            labels = _admit(values, labels, len(self._labels))
            known = values.get(labels, 0)
        values[labels] = known + by

    def value(self, *labels: str) -> float:
        """What was counted so far."""
        return self._values.get(labels, 0)

    def collect(self) -> Iterable[Metric]:
        """Asked by the registry."""
        family = CounterMetricFamily(self._name, self._help, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class Histogram(Collector):
    """How observations (seconds, unless the name says otherwise) spread over buckets."""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS
    ) -> None:
        self._name, self._help, self._labels = name, help_text, tuple(labels)
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, amount: float, *labels: str) -> None:
        """Count one observation in the series of these label values."""
        counts = self._counts.get(labels)
        if counts is None:
            labels = _admit(self._counts, labels, len(self._labels))
            counts = self._counts.setdefault(labels, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, amount)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + amount

    def collect(self) -> Iterable[Metric]:
        """Asked by the registry; buckets are cumulative, as Prometheus wants them."""
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        for labels, counts in self._counts.items():
            family.add_metric(labels, list(self._buckets(counts)), self._sums[labels])
        yield family

    def _buckets(self, counts: list[int]) -> Iterator[tuple[str, float]]:
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
            total += count
            yield bound, total


class Gauge(Collector):
    """A number that is asked for when somebody looks."""

    def __init__(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        self._name, self._help, self._read = name, help_text, read

    def describe(self) -> Iterable[Metric]:
        """Asked when it is registered, before there may be anything to read."""
        yield GaugeMetricFamily(self._name, self._help)

    def collect(self) -> Iterable[Metric]:
        """Asked by the registry."""
        yield GaugeMetricFamily(self._name, self._help, value=self._read())


class Metrics:
    """The metrics of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """A new counter; its name ends in `_total` in the text."""
        return self._register(Counter(name, help_text, labels))

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS
    ) -> Histogram:
        """A new histogram with these upper bounds, in ascending order."""
        return self._register(Histogram(name, help_text, labels, bounds))

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> Gauge:
        """A new gauge that calls `read` whenever somebody looks."""
        return self._register(Gauge(name, help_text, read))

    def text(self) -> bytes:
        """Everything in Prometheus' text form; its media type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _register(self, collector: _Registered) -> _Registered:
        self._registry.register(collector)
        return collector


def _admit(series: dict[Labels, Any], labels: Labels, names: int) -> Labels:
    """The series that a new combination of labels goes to."""
    if len(labels) != names:
        raise ValueError(f"{names} labels expected, {len(labels)} given")
    return labels if len(series) < SERIES_MAX else ("other",) * names
