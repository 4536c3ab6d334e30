"""A schema that was published binds what comes after it; pins cannot be edited by the way."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.events import publish as publishing
from schemas.events.publish import Published, broken, main, publish, unpublished
from schemas.events.registry import SCHEMAS
from schemas.ids import digest

pytestmark = pytest.mark.requirement("EVT-02")

NAME = "treasury.voided.v1.json"


def with_change(change: Any) -> dict[str, dict[str, Any]]:
    now = copy.deepcopy(SCHEMAS)
    change(now[NAME])
    return now


def whole() -> Published:
    return Published({name: digest(schema) for name, schema in SCHEMAS.items()}, SCHEMAS)


def test_what_is_here_is_published() -> None:
    assert broken(SCHEMAS, Published.read()) == []
    assert unpublished(SCHEMAS, Published.read()) == []


def test_a_breaking_change_is_refused_and_a_new_version_is_not() -> None:
    def narrow(schema: dict[str, Any]) -> None:
        del schema["properties"]["payee"]
        schema["required"].remove("payee")

    now = with_change(narrow)
    faults = broken(now, whole())
    assert f"{NAME}: /properties/payee: was removed" in faults
    second = now[NAME] | {"$id": "urn:tollhouse:schema:treasury.voided:2"}
    beside = {**SCHEMAS, "treasury.voided.v2.json": second}
    assert broken(beside, whole()) == []
    assert unpublished(beside, whole()) == ["treasury.voided.v2.json"]


def test_a_compatible_change_is_published_anew() -> None:
    now = with_change(lambda schema: schema["properties"].update(why={"type": "string"}))
    assert broken(now, whole()) == []
    assert unpublished(now, whole()) == [NAME]


def test_a_schema_that_is_gone_is_refused() -> None:
    now = {name: schema for name, schema in SCHEMAS.items() if name != NAME}
    assert broken(now, whole()) == [f"{NAME}: was published and is gone"]


def test_a_pin_that_was_edited_is_found() -> None:
    kept = whole()
    edited = Published({**kept.pins, NAME: "0" * 64}, kept.schemas)
    assert broken(SCHEMAS, edited) == [f"{NAME}: what was published is not what is pinned"]


def test_a_common_part_binds_whoever_uses_it() -> None:
    now = copy.deepcopy(SCHEMAS)
    now["common.v1.json"]["$defs"]["currency"]["pattern"] = "^[A-Z]{4}$"
    assert any(fault.startswith(f"{NAME}: /properties/currency/pattern") for fault in broken(now, whole()))


def test_publishing_writes_schema_and_pin(tmp_path: Path) -> None:
    (tmp_path / "published.json").write_text("{}")
    (tmp_path / "published").mkdir()
    none = Published.read(tmp_path)
    publish(SCHEMAS, unpublished(SCHEMAS, none), none, tmp_path)
    kept = Published.read(tmp_path)
    assert kept.schemas == SCHEMAS
    assert json.loads((tmp_path / "published.json").read_text()) == dict(kept.pins)
    assert (broken(SCHEMAS, kept), unpublished(SCHEMAS, kept)) == ([], [])


def test_the_command_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert main([]) == 0
    assert capsys.readouterr() == ("", "")
    assert publishing.FOLDER.name == "events"
