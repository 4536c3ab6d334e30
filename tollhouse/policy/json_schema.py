"""The decision's contract as draft-07 JSON Schema, the only draft that OPA checks policies against.

`python -m tollhouse.policy.json_schema` writes both files again after `schemas/decision.py` changed.
References are written out, since a policy's author reads these files too.
"""

from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel

import schemas
from schemas.decision import Decision, DecisionInput

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
FILES: Final[dict[str, type[BaseModel]]] = {
    "decision_input.v1.json": DecisionInput,
    "decision.v1.json": Decision,
}


def text(model: type[BaseModel]) -> bytes:
    """The schema file of a model: stable bytes, ending in a newline."""
    schema = model.model_json_schema(mode="validation")
    document = {"$schema": DRAFT, **_written_out(schema, schema.pop("$defs", {}))}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write(folder: Path) -> None:
    """Write every schema file into this folder."""
    for name, model in FILES.items():
        (folder / name).write_bytes(text(model))


def _written_out(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_written_out(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _written_out(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _written_out(each, definitions) for name, each in part.items() if name != "default"}


if __name__ == "__main__":
    write(Path(schemas.__file__).parent)
