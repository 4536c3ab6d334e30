"""Nothing that goes into a request head can start a second one."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http1_request import CHUNKED, LAST_CHUNK, chunk, head

pytestmark = pytest.mark.requirement("GW-13")


class _Parsed:
    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.ended += 1


def test_a_head_without_a_body() -> None:
    text = head(b"GET", b"/a?b", [(b"accept", b"*/*")], b"h:1", None)
    assert text == b"GET /a?b HTTP/1.1\r\nhost: h:1\r\naccept: */*\r\n\r\n"


def test_the_framing_follows_the_body() -> None:
    assert b"content-length: 3\r\n" in head(b"POST", b"/", [], b"h", 3)
    assert b"content-length: 0\r\n" in head(b"POST", b"/", [], b"h", None)
    assert b"transfer-encoding: chunked\r\n" in head(b"POST", b"/", [], b"h", CHUNKED)
    assert b"content-length" not in head(b"DELETE", b"/", [], b"h", None)


def test_the_callers_host_stands_in_for_ours() -> None:
    assert head(b"GET", b"/", [(b"Host", b"x")], b"h", None) == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        (b"GE T", b"/", []),
        (b"", b"/", []),
        (b"GET", b"/ HTTP/1.1\r\nX: y", []),
        (b"GET", b"/a b", []),
        (b"GET", b"", []),
        (b"GET", b"/", [(b"X", b"a\r\nY: b")]),
        (b"GET", b"/", [(b"X", b"a\nb")]),
        (b"GET", b"/", [(b"X", b"a\x00b")]),
        (b"GET", b"/", [(b"X Y", b"a")]),
        (b"GET", b"/", [(b"X:", b"a")]),
        (b"GET", b"/", [(b"", b"a")]),
        (b"GET", b"/", [(b"host", b"a"), (b"Host", b"b")]),
        (b"GET", b"/", [(b"Content-Length", b"1")]),
        (b"GET", b"/", [(b"transfer-encoding", b"chunked")]),
        (b"GET", b"/", [(b"Connection", b"close")]),
    ],
)
def test_what_is_not_one_head_is_refused(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(ValueError, match=r"head|header|host"):
        head(method, target, headers, b"h", None)


@given(
    st.binary(max_size=20),
    st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=20)), max_size=3),
    st.one_of(st.none(), st.integers(0, 10)),
)
def test_whatever_goes_in_one_request_comes_out_or_none(
    target: bytes, headers: list[tuple[bytes, bytes]], body_bytes: int | None
) -> None:
    try:
        text = head(b"GET", b"/" + target, headers, b"h", body_bytes)
    except ValueError:
        return
    parsed = _Parsed()
    httptools.HttpRequestParser(parsed).feed_data(text + b"x" * (body_bytes or 0))
    assert (parsed.begun, parsed.ended) == (1, 1)
    assert [header for header in parsed.headers if header in headers] == [
        (name, value.strip(b" \t")) for name, value in headers if (name, value.strip(b" \t")) in headers
    ]


def test_chunks() -> None:
    parsed = _Parsed()
    text = head(b"POST", b"/", [], b"h", CHUNKED) + chunk(b"hello") + chunk(b"x" * 300) + LAST_CHUNK
    httptools.HttpRequestParser(parsed).feed_data(text)
    assert parsed.body == b"hello" + b"x" * 300
    assert parsed.ended == 1
