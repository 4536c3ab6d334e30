"""The registry of events: nothing is emitted or believed that it does not know.

An event is valid when its envelope is, its type and version are registered, and its payload holds
under the schema of exactly that type and version; members that no schema names are refused. All
schemas are compiled once, at import; validating an event takes some microseconds.
"""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import jsonschema_rs

from schemas.ids import new_id

Event = dict[str, Any]

_FILE_NAME = re.compile(r"(?P<type>[a-z]+\.[a-z_]+)\.v(?P<version>[0-9]+)\.json")
_ENVELOPE: Final = "urn:tollhouse:schema:envelope:1"


class EventRefused(ValueError):
    """The event does not hold under its schema; the message names the member and why."""


class UnknownEvent(EventRefused):
    """No schema is registered for this type in this version."""


def _load() -> dict[str, dict[str, Any]]:
    folder = files("schemas.events")
    return {
        entry.name: json.loads(entry.read_text("utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if re.search(r"\.v[0-9]+\.json$", entry.name)
    }


def _compile(
    documents: Mapping[str, dict[str, Any]],
) -> dict[tuple[str, int], jsonschema_rs.Draft202012Validator]:
    known = jsonschema_rs.Registry([(schema["$id"], schema) for schema in documents.values()])
    validators = {}
    for name in documents:
        if match := _FILE_NAME.fullmatch(name):
            event_type, version = match["type"], int(match["version"])
            validators[event_type, version] = jsonschema_rs.Draft202012Validator(
                {
                    "$ref": _ENVELOPE,
                    "properties": {
                        "event_type": {"const": event_type},
                        "schema_version": {"const": version},
                        "payload": {"$ref": f"urn:tollhouse:schema:{event_type}:{version}"},
                    },
                },
                validate_formats=True,
                registry=known,
            )
    return validators


SCHEMAS: Final = _load()
_VALIDATORS: Final = _compile(SCHEMAS)


def types() -> frozenset[tuple[str, int]]:
    """Every registered `(event_type, schema_version)`."""
    return frozenset(_VALIDATORS)


def event(
    event_type: str,
    payload: Mapping[str, Any],
    *,
    tenant: str,
    workflow_id: str,
    correlation_id: str,
    occurred_at: str,
    event_id: str | None = None,
    schema_version: int = 1,
) -> Event:
    """A valid event. `occurred_at` is RFC 3339 in UTC; without `event_id` it gets a fresh UUIDv7.

    Raises `EventRefused` (or `UnknownEvent`) for what the schemas do not allow.
    """
    built = {
        "event_id": event_id or new_id(),
        "event_type": event_type,
        "schema_version": schema_version,
        "workflow_id": workflow_id,
        "tenant": tenant,
        "occurred_at": occurred_at,
        "correlation_id": correlation_id,
        "payload": dict(payload),
    }
    validate(built)
    return built


def validate(candidate: Any) -> None:
    """Raise `UnknownEvent` or `EventRefused` unless this is a valid event."""
    if not isinstance(candidate, dict):
        raise EventRefused("an event is a JSON object")
    event_type, version = candidate.get("event_type"), candidate.get("schema_version")
    if not isinstance(event_type, str) or type(version) is not int:
        raise EventRefused("an event has an event_type (string) and a schema_version (integer)")
    validator = _VALIDATORS.get((event_type, version))
    if validator is None:
        raise UnknownEvent(f"no schema for {event_type} version {version}")
    try:
        validator.validate(candidate)
    except jsonschema_rs.ValidationError as error:
        raise EventRefused(f"{_pointer(error.instance_path)}: {error.message[:500]}") from None


def _pointer(path: list[str | int]) -> str:
    return "/" + "/".join(map(str, path))
