"""The schema files are those of the models, in the draft that OPA reads."""

from pathlib import Path

import jsonschema_rs
import orjson
import pytest

import schemas
from tollhouse.policy import json_schema

FOLDER = Path(schemas.__file__).parent


@pytest.mark.requirement("POL-04")
@pytest.mark.requirement("POL-05")
@pytest.mark.parametrize("name", json_schema.FILES)
def test_the_schema_files_are_those_of_the_models(name: str, tmp_path: Path) -> None:
    json_schema.write(tmp_path)
    assert (FOLDER / name).read_bytes() == (tmp_path / name).read_bytes()
    schema = orjson.loads((FOLDER / name).read_bytes())
    assert schema["$schema"] == json_schema.DRAFT
    jsonschema_rs.meta.validate(schema)
