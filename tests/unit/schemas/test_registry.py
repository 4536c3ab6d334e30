"""The registry of events refuses whatever it does not know."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import record
from schemas.events import cloudevents
from schemas.events.registry import SCHEMAS, EventRefused, UnknownEvent, event, types, validate
from tests.fixtures.events import AT, completed, decided, of_record, spend

ENVELOPE = {"tenant": "acme", "workflow_id": "w", "correlation_id": "c", "occurred_at": AT}


def sample() -> dict[str, Any]:
    return spend("acme", "w-1")[0]


@pytest.mark.requirement("EVT-01")
def test_an_event_has_the_whole_envelope_and_a_fresh_id() -> None:
    one, two = sample(), sample()
    assert set(one) == {
        "event_id",
        "event_type",
        "schema_version",
        "workflow_id",
        "tenant",
        "occurred_at",
        "correlation_id",
        "payload",
    }
    assert one["event_id"] != two["event_id"]


@pytest.mark.requirement("EVT-01")
@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"extra": 1}, "/: "),
        ({"event_id": ""}, "/event_id"),
        ({"tenant": ""}, "/tenant"),
        ({"occurred_at": "yesterday"}, "/occurred_at"),
        ({"occurred_at": "2026-01-01T00:00:00+02:00"}, "/occurred_at"),
        ({"occurred_at": "2026-13-01T00:00:00Z"}, "/occurred_at"),
        ({"workflow_id": None}, "/workflow_id"),
        ({"payload": []}, "/payload"),
        ({"payload": {}}, "/payload"),
    ],
)
def test_a_broken_envelope_is_refused(change: dict[str, Any], where: str) -> None:
    with pytest.raises(EventRefused) as refused:
        validate(sample() | change)
    assert str(refused.value).startswith(where)


@pytest.mark.requirement("EVT-01")
@pytest.mark.parametrize("left_out", sorted(sample()))
def test_a_missing_member_is_refused(left_out: str) -> None:
    whole = sample()
    del whole[left_out]
    with pytest.raises(EventRefused):
        validate(whole)


@pytest.mark.requirement("EVT-01")
@pytest.mark.parametrize(
    "change",
    [
        {"more": "x"},
        {"amount_cents": 0},
        {"amount_cents": -1},
        {"amount_cents": 1.5},
        {"amount_cents": True},
        {"amount_cents": "5"},
        {"amount_cents": 2**53},
        {"currency": "usd"},
        {"purpose": ""},
        {"intent_id": "not-a-uuid"},
        {"principal": None},
    ],
)
def test_a_broken_payload_is_refused(change: dict[str, Any]) -> None:
    whole = sample()
    with pytest.raises(EventRefused, match="/payload"):
        validate(whole | {"payload": whole["payload"] | change})


@pytest.mark.requirement("EVT-02")
@pytest.mark.parametrize(
    ("event_type", "version"),
    [("treasury.invented", 1), ("treasury.executed", 2), ("treasury.executed", 0), ("envelope", 1)],
)
def test_an_unknown_type_or_version_is_refused(event_type: str, version: int) -> None:
    with pytest.raises(UnknownEvent):
        event(event_type, {}, schema_version=version, **ENVELOPE)


@pytest.mark.requirement("EVT-02")
@pytest.mark.parametrize(
    "candidate", [None, [], "x", {}, {"event_type": "treasury.executed"}, {"event_type": 1}]
)
def test_what_names_no_type_and_version_is_refused(candidate: Any) -> None:
    with pytest.raises(EventRefused):
        validate(candidate)


@pytest.mark.requirement("EVT-02")
@pytest.mark.parametrize("version", [True, "1", 1.0, None])
def test_a_version_is_an_integer(version: Any) -> None:
    with pytest.raises(EventRefused):
        validate(sample() | {"schema_version": version})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_nothing_but_a_refusal_comes_of_anything(candidate: Any) -> None:
    with pytest.raises(EventRefused):
        validate(candidate)


@pytest.mark.requirement("EVT-01")
def test_what_is_emitted_today_is_registered() -> None:
    emitted = {
        "treasury.intent_created",
        "treasury.authorized",
        "treasury.pending",
        "treasury.denied",
        "treasury.expired",
        "treasury.executed",
        "treasury.voided",
        "treasury.hold_unknown",
        "gateway.decided",
        "gateway.completed",
        "workflow.created",
        "workflow.suspended",
        "workflow.resumed",
        "workflow.finished",
        "compliance.case_opened",
        "compliance.case_closed",
    }
    assert {(event_type, 1) for event_type in emitted} <= types()


@pytest.mark.parametrize(
    ("name", "model"),
    [("gateway.decided.v1.json", record.Decided), ("gateway.completed.v1.json", record.Completed)],
)
def test_the_gateways_events_are_its_journals_records(name: str, model: Any) -> None:
    assert set(SCHEMAS[name]["properties"]) == set(model.model_fields)
    required = {field for field, info in model.model_fields.items() if info.is_required()}
    assert set(SCHEMAS[name]["required"]) >= required - {"code", "hold_id", "journal_entry_id"}


def test_every_outcome_of_a_record_is_an_outcome_of_an_event() -> None:
    for outcome in get_args(record.Outcome):
        of_record("completed", completed(decided(), outcome=outcome))


@pytest.mark.requirement("EVT-01")
def test_an_event_has_its_cloudevents_attributes() -> None:
    made = spend("acme", "w-1")[2]
    assert cloudevents.headers(made) == {
        "ce-specversion": "1.0",
        "ce-id": made["event_id"],
        "ce-type": "treasury.executed",
        "ce-source": "tollhouse/acme",
        "ce-subject": "w-1",
        "ce-time": AT,
        "ce-datacontenttype": "application/json",
        "ce-dataschema": "urn:tollhouse:schema:treasury.executed:1",
        "ce-correlationid": "c-1",
    }


def test_cloudevents_attributes_fit_into_a_header() -> None:
    odd = of_record("decided", decided("a ⚑\r\nX: 1", workflow_id='100% "w"'))
    headers = cloudevents.headers(odd)
    assert headers["ce-source"] == "tollhouse/a%20%E2%9A%91%0D%0AX:%201"
    assert headers["ce-subject"] == "100%25%20%22w%22"
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_an_event_without_a_workflow_has_no_subject() -> None:
    assert "ce-subject" not in cloudevents.headers(of_record("decided", decided()))
