"""A cursor leads back to its place, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.errors import Refusal
from control.pages import page, read_cursor, write_cursor


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_leads_back_to_its_place(text: str, number: int) -> None:
    assert read_cursor(write_cursor((text, number)), str, int) == [text, number]


@given(st.text(max_size=60).filter(lambda text: not text.startswith("W")))
def test_anything_else_is_refused(text: str) -> None:
    """A cursor begins with W, for the bracket that its place begins with."""
    with pytest.raises(Refusal) as refused:
        read_cursor(text, int)
    assert refused.value.code == "invalid"


@pytest.mark.parametrize("place", [(), (1,), ("a",), (1, 2), (True,), ({},)])
def test_the_types_of_a_place_are_checked(place: tuple[object, ...]) -> None:
    with pytest.raises(Refusal):
        read_cursor(write_cursor(place), str, str)


@pytest.mark.requirement("GW-20")
@pytest.mark.parametrize(("place", "kind"), [((2**63,), int), ((2**64 - 1,), int), (("a\x00",), str)])
def test_what_postgresql_cannot_look_for_is_no_place(place: tuple[object, ...], kind: type[int]) -> None:
    with pytest.raises(Refusal):
        read_cursor(write_cursor(place), kind)


def test_the_last_page_has_no_cursor() -> None:
    assert page([1], None) == {"items": [1], "next_cursor": None}
    assert page([1], (7,)) == {"items": [1], "next_cursor": write_cursor((7,))}
