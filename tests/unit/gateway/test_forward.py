"""What of an upstream's answer is sent back."""

import pytest

from gateway.core.forward import answer_headers, ending, length_of
from gateway.errors import OutcomeUnknown


@pytest.mark.requirement("GW-04")
def test_what_only_the_gateway_may_say_is_dropped() -> None:
    headers = [
        (b"x-decision-id", b"forged"),
        (b"x-correlation-id", b"forged"),
        (b"set-cookie", b"a=b"),
        (b"alt-svc", b'h3=":443"'),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close, x-mine"),
        (b"x-mine", b"1"),
        (b"content-type", b"text/plain"),
    ]
    assert answer_headers(200, headers) == [(b"content-type", b"text/plain")]


@pytest.mark.requirement("GW-04")
def test_the_length_stays_whatever_the_upstream_calls_it_unless_there_is_no_body() -> None:
    headers = [(b"connection", b"content-length"), (b"content-length", b"5")]
    assert length_of(answer_headers(200, headers)) == 5
    assert length_of(answer_headers(304, headers)) is None


@pytest.mark.requirement("GW-04")
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (101, []),
        (99, []),
        (600, []),
        (200, [(b"a", b"b\x01")]),
        (200, [(b"a b", b"c")]),
        (200, [(b"a", b"\r\nb")]),
    ],
)
def test_an_answer_that_cannot_be_passed_on_is_refused(
    status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(OutcomeUnknown) as refused:
        answer_headers(status, headers)
    assert refused.value.code == "upstream_invalid"


@pytest.mark.requirement("GW-10")
def test_an_answered_error_is_a_certain_failure() -> None:
    assert [ending(status) for status in (200, 204, 302, 399, 400, 404, 500)] == ["succeeded"] * 4 + [
        "failed"
    ] * 3
