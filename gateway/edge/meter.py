"""What the gateway counts of itself: decisions by their code, and how long each took."""

from adapters.metrics import Metrics


class DecisionMeter:
    """Counts on the hot path; everything else is done when somebody asks."""

    def __init__(self, metrics: Metrics) -> None:
        self._decisions = metrics.counter(
            "tollhouse_gateway_decisions",
            "Calls that were decided, by the refusal's code.",
            ("allow", "code"),
        )
        self._seconds = metrics.histogram(
            "tollhouse_gateway_decision_seconds", "From a call's identification to its decision on disk."
        )

    def decided(self, code: str, seconds: float) -> None:
        """Count one decision; the code is "" for a call that may go on."""
        self._decisions.count("false" if code else "true", code)
        self._seconds.observe(seconds)
