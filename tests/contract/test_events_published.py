"""What was published stays as it was: a schema that must change gets a new version beside the old one."""

import json
from importlib.resources import files

import pytest

from schemas.events.registry import SCHEMAS
from schemas.ids import digest

PUBLISHED = json.loads((files("schemas.events") / "published.json").read_text())


@pytest.mark.requirement("EVT-02")
def test_no_published_schema_was_changed_or_taken_back() -> None:
    now = {name: digest(schema) for name, schema in SCHEMAS.items()}
    assert {name: now.get(name) for name in PUBLISHED} == PUBLISHED, "give the change a new version"


@pytest.mark.requirement("EVT-02")
def test_every_schema_is_published() -> None:
    assert set(SCHEMAS) == set(PUBLISHED), "add the digest of the new schema to published.json"


@pytest.mark.requirement("EVT-01")
@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_names_itself_and_refuses_extra_members(name: str) -> None:
    schema = SCHEMAS[name]
    subject, version, _ = name.rsplit(".", 2)
    assert schema["$id"] == f"urn:tollhouse:schema:{subject}:{version[1:]}"
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert name == "common.v1.json" or schema["additionalProperties"] is False
    assert schema["title"]
