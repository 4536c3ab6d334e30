"""What our client makes of every raw answer, however the network cuts it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http1_answer import Answer, BadAnswer, BrokenAnswer, HTTPError, Limits, NoAnswer
from tests.unit.adapters.http_answers import ALL, HOSTILE, ORDINARY, SURPLUS, RawAnswer

pytestmark = pytest.mark.requirement("GW-13")


def read(raw: bytes, method: bytes, cuts: tuple[int, ...] = ()) -> Answer:
    """The answer after these bytes, cut at these places, and the end of the stream. Raises `HTTPError`."""
    answer = Answer(Limits(), head_only=method == b"HEAD")
    for start, end in pairwise([0, *sorted(cuts), len(raw)]):
        if start < end:
            answer.feed(raw[start:end])
    answer.end_of_stream()
    return answer


def feed(answer: Answer, raw: bytes, step: int) -> None:
    """All of these bytes in pieces of one size, and the end of the stream."""
    for start in range(0, len(raw), step):
        answer.feed(raw[start : start + step])
    answer.end_of_stream()


def verdict(raw: bytes, method: bytes, cuts: tuple[int, ...] = ()) -> tuple[int, bytes] | None:
    try:
        answer = read(raw, method, cuts)
    except HTTPError:
        return None
    return answer.status, b"".join(answer.chunks)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_each_answer_is_read_as_it_must_be(case: RawAnswer) -> None:
    assert verdict(case.raw, case.method) == case.accepted


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_each_answer_is_read_the_same_byte_by_byte(case: RawAnswer) -> None:
    assert verdict(case.raw, case.method, tuple(range(len(case.raw)))) == case.accepted


@given(st.sampled_from(ALL), st.lists(st.integers(0, 300), max_size=5))
def test_where_the_network_cuts_does_not_matter(case: RawAnswer, cuts: list[int]) -> None:
    assert verdict(case.raw, case.method, tuple(min(cut, len(case.raw)) for cut in cuts)) == case.accepted


def test_the_connection_is_used_again_only_after_a_clean_end() -> None:
    reusable = {case.name for case in ORDINARY if read(case.raw, case.method).reusable}
    closing = {"until close", "until close, nothing", "close with length", "1.0", "1.0 until close"}
    assert reusable == {case.name for case in ORDINARY} - closing
    assert not any(read(case.raw, case.method).reusable for case in SURPLUS)


def test_bytes_after_a_whole_answer_spoil_the_connection() -> None:
    answer = Answer(Limits(), head_only=False)
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert answer.reusable
    answer.feed(b"HTTP/1.1 200 OK\r\n")
    assert not answer.reusable


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_the_kind_of_error_says_whether_a_head_came(case: RawAnswer) -> None:
    answer = Answer(Limits(), head_only=False)
    with pytest.raises(HTTPError) as caught:
        feed(answer, case.raw, step=1_000_000)
    assert isinstance(caught.value, BrokenAnswer) == answer.headed


def test_an_end_before_the_first_byte_is_told_apart() -> None:
    with pytest.raises(NoAnswer) as caught:
        read(b"", b"GET")
    assert caught.value.untouched
    with pytest.raises(NoAnswer) as caught:
        read(b"HTTP/1.1 2", b"GET")
    assert not caught.value.untouched


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3000,
        b"HTTP/1.1 200 " + b"x" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 3000,
    ],
    ids=["header", "reason", "chunk extension", "trailer"],
)
def test_what_never_becomes_a_head_or_a_body_ends_at_the_limit(endless: bytes) -> None:
    answer = Answer(Limits(head_bytes_max=1000), head_only=False)
    with pytest.raises((BadAnswer, BrokenAnswer)):
        feed(answer, endless, step=100)


def test_trailers_do_not_change_the_head() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Type: x\r\n\r\n"
    assert read(raw, b"GET").headers == [(b"transfer-encoding", b"chunked")]
