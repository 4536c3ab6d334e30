"""Events are split where they end, however they come, and nothing is added or lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event_stream import EventStream, EventTooLarge

pytestmark = pytest.mark.requirement("GW-05")

LIMIT = 10_000


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_come_whole_with_their_data(end: bytes) -> None:
    text = end.join([b"event: message", b"id: 7", b'data: {"a":', b"data:1}", b"", b": still here", b"", b""])
    events = EventStream(LIMIT).feed(text)
    assert [event.data for event in events] == [b'{"a":\n1}', b""]
    assert b"".join(event.raw for event in events) == text


def test_half_an_event_waits() -> None:
    stream = EventStream(LIMIT)
    assert stream.feed(b"data: one\n\ndata: tw")[0].data == b"one"
    assert stream.rest == b"data: tw"
    assert stream.feed(b"o\n") == []
    assert stream.feed(b"\n")[0].data == b"two"
    assert stream.rest == b""


def test_an_event_has_a_limit() -> None:
    stream = EventStream(100)
    with pytest.raises(EventTooLarge):
        stream.feed(b"data: " + b"x" * 200)


def test_a_byte_order_mark_is_not_data() -> None:
    assert EventStream(LIMIT).feed(b"\xef\xbb\xbfdata: one\n\n")[0].data == b"one"


_TEXT = st.lists(st.sampled_from([b"data: a", b"data:b", b"id: 1", b"\n", b"\r\n", b"\n\n", b": c"])).map(
    b"".join
)


@given(_TEXT, st.lists(st.integers(0, 80), max_size=6))
def test_cuts_add_and_lose_nothing(text: bytes, cuts: list[int]) -> None:
    stream = EventStream(LIMIT)
    events = [event for piece in pieces(text, cuts) for event in stream.feed(piece)]
    assert b"".join(event.raw for event in events) + stream.rest == text
    whole = EventStream(LIMIT).feed(text)
    assert [event.data for event in events if event.data] == [event.data for event in whole if event.data]
