"""An OpenAPI document held against the service that publishes it: what it says, and what really comes back.

Requests are made of the document alone, good ones and bad ones, a bounded number for each operation and the
same ones each time. Every answer must be one that the document announces.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES_MAX = 12
HELD: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def operations(document: dict[str, Any]) -> dict[str, Any]:
    """Each operation with its parameters, its body and what each status answers with."""
    return {
        f"{method.upper()} {path}": {
            "parameters": sorted(_parameter(parameter) for parameter in operation.get("parameters", ())),
            "body": _schema(operation.get("requestBody", {})),
            "answers": {status: _schema(answer) for status, answer in sorted(operation["responses"].items())},
        }
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
    }


def _parameter(parameter: dict[str, Any]) -> str:
    return f"{parameter['in']} {parameter['name']}{'' if parameter.get('required') else ' (optional)'}"


def _schema(part: dict[str, Any]) -> str:
    """The name of the model in a body or an answer; "" where there is none."""
    for media_type, content in part.get("content", {}).items():
        schema = content.get("schema", {})
        return str(schema.get("$ref", schema.get("title", media_type))).rpartition("/")[2]
    return ""


def hold_to_document(url: str, headers: Mapping[str, str]) -> int:
    """Ask every operation of the service at `url`; how many requests were made. AssertionError."""
    document = schemathesis.openapi.from_url(f"{url}/openapi.json")
    return sum(
        _ask(document, result.ok(), mode, url, headers)
        for result in document.get_all_operations()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    )


def _ask(
    document: BaseSchema, operation: Any, mode: GenerationMode, url: str, headers: Mapping[str, str]
) -> int:
    asked = 0

    @settings(
        max_examples=EXAMPLES_MAX,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate(base_url=url, headers=dict(headers), checks=HELD)

    with contextlib.suppress(Unsatisfiable):  # an operation without inputs has no bad ones
        ask()
    assert asked or mode is GenerationMode.NEGATIVE
    return asked
