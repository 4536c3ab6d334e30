"""What was published stays: a schema that must change breakingly gets a new version beside the old one."""

import pytest

from schemas.events.publish import Published, broken, unpublished
from schemas.events.registry import SCHEMAS


@pytest.mark.requirement("EVT-02")
def test_no_published_schema_was_broken_or_taken_back() -> None:
    assert broken(SCHEMAS, Published.read()) == [], "give the change a new version"


@pytest.mark.requirement("EVT-02")
def test_every_schema_is_published() -> None:
    assert unpublished(SCHEMAS, Published.read()) == [], "run python -m schemas.events.publish"


@pytest.mark.requirement("EVT-01")
@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_names_itself_and_refuses_extra_members(name: str) -> None:
    schema = SCHEMAS[name]
    subject, version, _ = name.rsplit(".", 2)
    assert schema["$id"] == f"urn:tollhouse:schema:{subject}:{version[1:]}"
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert name == "common.v1.json" or schema["additionalProperties"] is False
    assert schema["title"]
