"""Metrics are Prometheus' text form of what was counted."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.metrics import SERIES_MAX, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.requirement("OPS-03")
def test_counters_gauges_and_histograms_are_told() -> None:
    metrics = Metrics()
    calls = metrics.counter("calls", "Calls.", ["code"])
    bare = metrics.counter("bare", "No labels.")
    seconds = metrics.histogram("took_seconds", "Seconds.", bounds=(0.1, 1.0))
    metrics.gauge("open", "Open.", lambda: 7)
    calls.count("ok")
    calls.count("ok", by=2)
    calls.count('quo"te\n')
    for amount in (0.05, 0.1, 0.5, 3.0):
        seconds.observe(amount)
    told = samples(metrics)
    assert told["calls_total", ("ok",)] == calls.value("ok") == 3
    assert told["calls_total", ('quo"te\n',)] == 1
    assert told["bare_total", ()] == bare.value() == 0
    assert told["open", ()] == 7
    assert told["took_seconds_bucket", ("0.1",)] == 2
    assert told["took_seconds_bucket", ("1.0",)] == 3
    assert told["took_seconds_bucket", ("+Inf",)] == told["took_seconds_count", ()] == 4
    assert told["took_seconds_sum", ()] == pytest.approx(3.65)


def test_series_are_bounded() -> None:
    metrics = Metrics()
    calls = metrics.counter("calls", "Calls.", ["path"])
    took = metrics.histogram("took", "Took.", ["path"])
    for number in range(SERIES_MAX + 50):
        calls.count(str(number))
        took.observe(1, str(number))
    assert calls.value("other") == 50
    assert samples(metrics)["took_count", ("other",)] == 50


def test_labels_are_counted() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="1 labels expected, 2 given"):
        metrics.counter("calls", "Calls.", ["code"]).count("a", "b")
    with pytest.raises(ValueError, match="1 labels expected, 0 given"):
        metrics.histogram("took", "Took.", ["code"]).observe(1)


def test_a_name_stands_once() -> None:
    metrics = Metrics()
    metrics.counter("calls", "Calls.")
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.counter("calls", "Calls again.")
