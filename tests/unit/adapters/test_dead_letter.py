"""A dead letter tells where it came from, and goes back there without commanding the bus."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dead_letter import REASON_CHARS_MAX, DeadLetter, burial_headers

pytestmark = pytest.mark.requirement("EVT-04")

AT = datetime(2026, 3, 1, tzinfo=UTC)


def buried(reason: str = "why", headers: dict[str, str] | None = None) -> DeadLetter:
    kept = burial_headers("recorder", reason, "gateway.decided", "TOLLHOUSE_EVENTS", 7, headers)
    return DeadLetter.read(3, AT, "dead_letters.recorder", kept, b"body")


def test_it_tells_where_it_came_from_and_why() -> None:
    letter = buried("not JSON", {"ce-id": "e-1", "Nats-Msg-Id": "e-1"})
    assert (letter.id, letter.at, letter.consumer, letter.subject) == (3, AT, "recorder", "gateway.decided")
    assert (letter.reason, letter.data) == ("not JSON", b"body")
    assert letter.headers == {"ce-id": "e-1", "Nats-Msg-Id": "e-1"}


def test_the_same_message_is_buried_under_the_same_id() -> None:
    first, again = (
        burial_headers("recorder", why, "gateway.decided", "TOLLHOUSE_EVENTS", 7, None) for why in ("a", "b")
    )
    assert first["Nats-Msg-Id"] == again["Nats-Msg-Id"] == "TOLLHOUSE_EVENTS:7:recorder"


def test_replayed_it_commands_the_bus_nothing_and_has_the_letters_own_id() -> None:
    own = {"ce-id": "e-1", "Nats-Msg-Id": "e-1", "nats-rollup": "all", "Nats-Expected-Stream": "X"}
    headers = buried(headers=own).replay_headers()
    assert headers == {"ce-id": "e-1", "Nats-Msg-Id": f"replay:3:{AT.timestamp()}"}


@given(reason=st.text(), headers=st.dictionaries(st.text(), st.text()))
def test_whatever_was_said_fits_into_headers(reason: str, headers: dict[str, str]) -> None:
    kept = burial_headers("recorder", reason, "gateway.decided", "S", 7, headers)
    assert all(value.isascii() and value.isprintable() for value in kept.values())
    assert len(kept["Tollhouse-Reason"]) <= REASON_CHARS_MAX
    assert DeadLetter.read(3, AT, "dead_letters.recorder", kept, b"").headers == headers


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_headers_that_cannot_be_read_are_none(text: str) -> None:
    letter = DeadLetter.read(3, AT, "dead_letters.other", {"Tollhouse-Headers": text}, b"")
    assert (letter.headers, letter.reason, letter.subject) == ({}, "", "")
