"""What the recorder believes: valid events, under their own subject, of one tenant."""

import orjson
import pytest

from control.reader import read
from schemas.events.registry import EventRefused, UnknownEvent
from tests.fixtures.events import decided, of_record, spend


@pytest.mark.requirement("EVT-01")
def test_a_valid_event_is_read() -> None:
    for event in (of_record("decided", decided()), *spend("acme", "w-1")):
        assert read(event["event_type"], orjson.dumps(event)) == event


@pytest.mark.requirement("EVT-02")
@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"null", b'"x"', b'{"a":NaN}'])
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(EventRefused):
        read("gateway.decided", data)


@pytest.mark.requirement("EVT-02")
def test_an_unknown_version_is_refused() -> None:
    event = of_record("decided", decided()) | {"schema_version": 2}
    with pytest.raises(UnknownEvent):
        read("gateway.decided", orjson.dumps(event))


@pytest.mark.requirement("SEC-03")
def test_a_service_cannot_speak_for_another() -> None:
    with pytest.raises(EventRefused, match=r"came on the subject gateway\.decided"):
        read("gateway.decided", orjson.dumps(spend("acme", "w-1")[2]))


@pytest.mark.requirement("SEC-03")
def test_a_payload_cannot_name_another_tenant() -> None:
    event = of_record("decided", decided("acme")) | {"tenant": "other"}
    with pytest.raises(EventRefused, match="another tenant"):
        read("gateway.decided", orjson.dumps(event))
