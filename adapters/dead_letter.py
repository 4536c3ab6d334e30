"""A dead letter: a message that a consumer could not understand or handle, with the reason beside it.

The body is the message's own, unchanged. The headers tell where it came from:

    Tollhouse-Reason    why it was buried
    Tollhouse-Subject   the subject that it came on
    Tollhouse-Stream    the stream that it was read from
    Tollhouse-Sequence  its place there
    Tollhouse-Headers   its own headers, as a JSON object in ASCII

The subject of the letter is `dead_letters.<consumer>`, its id its place among the dead letters. When it is
replayed, the message goes back to its own subject under a message id made of the letter's, so that doing it
twice puts it into the stream once. Headers that command the bus itself (`Nats-…`) are left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from adapters.nats_permissions import DEAD_LETTERS_PREFIX

REASON_CHARS_MAX: Final = 500
_BUS_PREFIX: Final = "nats-"
_MESSAGE_ID: Final = "Nats-Msg-Id"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A letter as it lies there. `id` is its sequence, `at` when it was buried (UTC)."""

    id: int
    at: datetime
    consumer: str
    reason: str
    subject: str
    headers: Mapping[str, str]
    data: bytes

    @classmethod
    def read(
        cls, sequence: int, at: datetime, subject: str, headers: Mapping[str, str], data: bytes
    ) -> "DeadLetter":
        """From the message that is kept; a letter that tells nothing of its origin has empty fields."""
        return cls(
            id=sequence,
            at=at,
            consumer=subject.removeprefix(f"{DEAD_LETTERS_PREFIX}."),
            reason=headers.get("Tollhouse-Reason", ""),
            subject=headers.get("Tollhouse-Subject", ""),
            headers=_headers(headers.get("Tollhouse-Headers", "{}")),
            data=data,
        )

    def replay_headers(self) -> dict[str, str]:
        """What the message is sent with when it is played again."""
        kept = {
            name: value for name, value in self.headers.items() if not name.lower().startswith(_BUS_PREFIX)
        }
        return kept | {_MESSAGE_ID: f"replay:{self.id}:{self.at.timestamp()}"}


def burial_headers(
    consumer: str, reason: str, subject: str, stream: str, sequence: int, headers: Mapping[str, str] | None
) -> dict[str, str]:
    """What a message is buried with; burying it twice within the stream's memory of ids keeps it once."""
    return {
        _MESSAGE_ID: f"{stream}:{sequence}:{consumer}",
        "Tollhouse-Reason": _one_line(reason[:REASON_CHARS_MAX]),
        "Tollhouse-Subject": subject,
        "Tollhouse-Stream": stream,
        "Tollhouse-Sequence": str(sequence),
        "Tollhouse-Headers": json.dumps(dict(headers or {})),
    }


def _one_line(text: str) -> str:
    """Printable ASCII: what a header can hold."""
    line = text.encode("ascii", "replace").decode()
    return "".join(character if character.isprintable() else " " for character in line).strip()


def _headers(text: str) -> dict[str, str]:
    try:
        headers = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
