"""Which changes of a published schema break somebody, and which do not."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.compatibility import breaking
from schemas.events.registry import SCHEMAS

pytestmark = pytest.mark.requirement("EVT-02")

COMMON = {
    "$id": "urn:common",
    "$defs": {"name": {"type": "string", "maxLength": 9}, "wide": {"type": "string", "maxLength": 99}},
}
OLD: dict[str, Any] = {
    "$id": "urn:thing",
    "title": "A thing",
    "type": "object",
    "properties": {
        "id": {"$ref": "urn:common#/$defs/name", "description": "its id"},
        "state": {"enum": ["open", "shut"]},
        "cents": {"type": "integer", "minimum": 1, "maximum": 100},
        "kind": {"const": "x"},
        "at": {"type": "string", "format": "date-time", "pattern": "Z$"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        "note": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 5}]},
        "free": {"type": "object"},
        "may": {"type": ["string", "null"]},
    },
    "required": ["id", "state"],
    "additionalProperties": False,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The old schema with another value at a place; `...` takes what is there away."""
    new = copy.deepcopy(OLD)
    *steps, last = path.split("/")
    place: Any = new
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return new


def breaks(new: dict[str, Any], common: dict[str, Any] = COMMON) -> list[str]:
    return breaking(OLD, new, {"urn:common": COMMON}, {"urn:common": common})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("title", "Another", id="a text"),
        pytest.param("properties/id/description", ..., id="a text is gone"),
        pytest.param("properties/more", {"type": "string"}, id="a member that nobody has to send"),
        pytest.param("properties/state/enum", ["ajar", "open", "shut"], id="one more value"),
        pytest.param("properties/cents/minimum", 0, id="a lower bound loosened"),
        pytest.param("properties/cents/maximum", 101, id="an upper bound loosened"),
        pytest.param("properties/cents/maximum", ..., id="an upper bound is gone"),
        pytest.param("properties/tags/maxItems", 4, id="a longer list"),
        pytest.param("properties/note/anyOf/1/maxLength", 6, id="an alternative loosened"),
        pytest.param(
            "properties/note/anyOf", [{"type": "string", "maxLength": 5}, {"type": "null"}], id="their order"
        ),
        pytest.param("properties/may/type", ["null", "string"], id="the order of types"),
        pytest.param("required", ["state", "id"], id="the order of what is required"),
        pytest.param("properties/id", {"type": "string", "maxLength": 9}, id="the same without a reference"),
        pytest.param("properties/id/$ref", "urn:common#/$defs/wide", id="a looser reference"),
        pytest.param("additionalProperties", False, id="nothing at all"),
    ],
)
def test_what_hurts_nobody_is_allowed(path: str, value: Any) -> None:
    assert breaks(changed(path, value)) == []


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("properties/note", ..., "/properties/note: was removed"),
        ("properties/cents/type", "number", "/properties/cents/type: was integer and is number"),
        ("properties/cents/type", ["integer", "null"], "/properties/cents/type: was integer"),
        ("properties/cents/type", ..., "/properties/cents/type: was integer and is not there"),
        ("properties/may/type", "string", "/properties/may/type"),
        ("required", ["id", "state", "cents"], "/required: now has to be sent: cents"),
        ("required", ["id"], "/required: can no longer be relied on: state"),
        ("required", ..., "/required: can no longer be relied on: id, state"),
        ("properties/state/enum", ["open"], "/properties/state/enum: no longer allowed: shut"),
        ("properties/state/enum", ..., "/properties/state/enum: was"),
        ("properties/cents/enum", [1], "/properties/cents/enum: was not there"),
        ("properties/cents/minimum", 2, "/properties/cents/minimum: was raised from 1 to 2"),
        ("properties/cents/maximum", 99, "/properties/cents/maximum: was lowered from 100 to 99"),
        ("properties/id/minLength", 1, "/properties/id/minLength: was raised from not there to 1"),
        ("properties/cents/exclusiveMaximum", 9, "/properties/cents/exclusiveMaximum"),
        ("properties/cents/multipleOf", 5, "/properties/cents/multipleOf"),
        ("properties/tags/uniqueItems", True, "/properties/tags/uniqueItems"),
        ("properties/tags/maxItems", 2, "/properties/tags/maxItems"),
        ("properties/tags/minItems", 2, "/properties/tags/minItems"),
        ("properties/tags/items", {"type": "integer"}, "/properties/tags/items/type"),
        ("properties/tags/items", ..., "/properties/tags/items: was"),
        ("properties/free/maxProperties", 1, "/properties/free/maxProperties"),
        ("properties/free/properties/a", {"type": "string"}, "/properties/free/properties/a: was free"),
        ("properties/free/additionalProperties", False, "/properties/free/additionalProperties"),
        ("properties/kind/const", "y", "/properties/kind/const: was x and is y"),
        ("properties/at/pattern", "^2", "/properties/at/pattern"),
        ("properties/at/pattern", ..., "/properties/at/pattern"),
        ("properties/at/format", "date", "/properties/at/format"),
        ("properties/note/anyOf", [{"type": "null"}], "/properties/note/anyOf: had 2 alternatives and has 1"),
        ("properties/note/anyOf/1/maxLength", 4, "/properties/note/anyOf/1: no alternative"),
        ("properties/note/anyOf", ..., "/properties/note/anyOf: was"),
        ("properties/note", False, "/properties/note"),
        ("additionalProperties", True, "/additionalProperties: was False and is True"),
        ("additionalProperties", ..., "/additionalProperties: was False and is True"),
        ("patternProperties", {"^x": {}}, "/patternProperties: was not there"),
        ("if", {"required": ["note"]}, "/if: was not there"),
    ],
)
def test_what_breaks_somebody_is_named_with_its_place(path: str, value: Any, told: str) -> None:
    found = breaks(changed(path, value))
    assert found, "nothing was found"
    assert any(fault.startswith(told) for fault in found), found


def test_a_renamed_member_was_removed() -> None:
    new = changed("properties/label", OLD["properties"]["note"])
    del new["properties"]["note"]
    assert breaks(new) == ["/properties/note: was removed"]


def test_a_reference_is_followed_in_its_own_documents() -> None:
    narrower = copy.deepcopy(COMMON)
    narrower["$defs"]["name"]["maxLength"] = 8  # type: ignore[index]
    assert breaks(OLD, narrower) == ["/properties/id/maxLength: was lowered from 9 to 8"]
    with pytest.raises(KeyError):
        breaks(changed("properties/id/$ref", "urn:common#/$defs/nothing"))


@given(st.sampled_from(sorted(SCHEMAS)))
def test_no_schema_breaks_itself(name: str) -> None:
    world = {schema["$id"]: schema for schema in SCHEMAS.values()}
    assert breaking(SCHEMAS[name], SCHEMAS[name], world, world) == []
