"""SQL by its names."""

import pytest

from adapters.queries import named


def test_statements_have_their_names() -> None:
    sql = named("-- preamble\n\n-- name: one\nSELECT 1;\n\n-- name: two_b\n-- why\nSELECT 2\nFROM t;\n")
    assert vars(sql) == {"one": "SELECT 1", "two_b": "-- why\nSELECT 2\nFROM t"}


@pytest.mark.parametrize(
    "text", ["-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "-- name: a\n\n-- name: b\nSELECT 1"]
)
def test_names_stand_once_and_have_a_statement(text: str) -> None:
    with pytest.raises(ValueError, match="stands twice or is empty"):
        named(text)
