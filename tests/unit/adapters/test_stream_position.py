"""When a stream may lack what was published to it."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.stream_position import StreamPosition

MADE = datetime(2026, 3, 1, tzinfo=UTC)
SEEN = StreamPosition(MADE, 7, 5)


@pytest.mark.requirement("TRE-17")
@pytest.mark.parametrize(
    ("now", "may_lack"),
    [
        (StreamPosition(MADE, 7, messages=7), False),
        (StreamPosition(MADE, 9, messages=1), False),
        (StreamPosition(MADE, 6, messages=6), True),
        (StreamPosition(MADE, 7, messages=0), True),
        (StreamPosition(MADE + timedelta(microseconds=1), 9, messages=9), True),
    ],
)
def test_what_was_made_anew_or_went_back_or_was_emptied_may_lack_it(
    now: StreamPosition, may_lack: bool
) -> None:
    assert now.may_lack(SEEN) is may_lack


def test_a_stream_that_was_empty_already_lacks_nothing() -> None:
    assert not StreamPosition(MADE, 7, messages=0).may_lack(StreamPosition(MADE, 7, messages=0))
