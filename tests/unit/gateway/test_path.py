"""One canonical path and query: what is judged is what is sent."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.path import arguments_of, canonical_path, canonical_query
from gateway.errors import BadRequest

pytestmark = pytest.mark.requirement("GW-04")


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"/", "/"),
        (b"/items/7", "/items/7"),
        (b"/%41/b", "/A/b"),
        (b"/caf%c3%a9", "/caf%C3%A9"),
        (b"/a%20b", "/a%20b"),
        (b"/~a.b-c_d", "/~a.b-c_d"),
        (b"/a,b=c", "/a,b=c"),
    ],
)
def test_equal_paths_have_one_form(raw: bytes, canonical: str) -> None:
    assert canonical_path(raw) == canonical


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    "raw",
    [
        b"/..",
        b"/../x",
        b"/a/../b",
        b"/a/./b",
        b"/a/.",
        b"/...",
        b"//a",
        b"/a//b",
        b"/a%2fb",
        b"/a%2Fb",
        b"/a%5cb",
        b"/a\\b",
        b"/%2e%2e/b",
        b"/%2E/b",
        b"/.%2e/b",
        b"/a%00",
        b"/a%252fb",
        b"/a%25",
        b"/a;b=c",
        b"/a%3bb",
        b"/a%0d%0ab",
        b"/a%7f",
        b"/%ff",
        b"/%c0%af",
        b"/%",
        b"/%g1",
        b"/a b",
        b"/\xc3\xa9",
        b"/a?b",
        b"/a#b",
        b"",
        b"a",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        canonical_path(raw)
    assert refused.value.code == "malformed"


@given(st.binary(max_size=60).map(lambda tail: b"/" + tail))
def test_a_canonical_path_is_its_own_canonical_form_and_has_no_trap(raw: bytes) -> None:
    try:
        path = canonical_path(raw)
    except BadRequest:
        return
    assert canonical_path(path.encode("ascii")) == path
    segments = unquote(path, errors="strict").split("/")[1:]
    assert not any(segment and not segment.strip(".") for segment in segments)
    assert all(segments[:-1])
    assert not {"\\", ";", "\0", "%"} & set("".join(segments))


@pytest.mark.parametrize(
    ("raw", "arguments", "sent"),
    [
        (b"", {}, ""),
        (b"q=a", {"q": "a"}, "q=a"),
        (b"q=a+b&r=", {"q": "a b", "r": ""}, "q=a%20b&r="),
        (b"q=a%2Bb", {"q": "a+b"}, "q=a%2Bb"),
        (b"flag", {"flag": ""}, "flag="),
        (b"q=%2541", {"q": "%41"}, "q=%2541"),
        (b"a[]=1", {"a[]": "1"}, "a[]=1"),
        (b"q=a=b", {"q": "a=b"}, "q=a%3Db"),
    ],
)
def test_a_query_is_its_parameters(raw: bytes, arguments: dict[str, str], sent: str) -> None:
    assert arguments_of(raw) == arguments
    assert canonical_query(arguments) == sent


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize(
    "raw", [b"a=1&a=2", b"a=1&%61=2", b"=1", b"a=1&&b=2", b"a=1;b=2", b"a=%00", b"a=%ff", b"a=<"]
)
def test_a_query_that_can_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        arguments_of(raw)


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1))
def test_what_is_sent_says_what_was_judged(arguments: dict[str, str]) -> None:
    try:
        sent = canonical_query(arguments).encode("ascii")
    except UnicodeEncodeError:
        return
    if "\0" in "".join([*arguments, *arguments.values()]):
        return
    assert arguments_of(sent) == arguments
    assert urlsplit("http://h/?" + sent.decode()).query == sent.decode()
