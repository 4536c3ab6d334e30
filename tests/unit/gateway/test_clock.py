"""The gateway's clock tells the time as the rest of the world does."""

from datetime import UTC, datetime, timedelta

from gateway.edge.clock import SystemClock


def test_now_is_rfc_3339_to_the_millisecond_and_never_goes_back() -> None:
    clock = SystemClock()
    before = datetime.now(UTC)
    told = [clock.now() for _ in range(200)]
    after = datetime.now(UTC)
    assert told == sorted(told)
    assert all(len(text) == len("2026-01-01T00:00:00.000Z") and text.endswith("Z") for text in told)
    read = [datetime.fromisoformat(text) for text in told]
    assert before - timedelta(milliseconds=1) <= read[0]
    assert read[-1] <= after
