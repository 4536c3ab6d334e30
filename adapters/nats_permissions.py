"""Who may say and hear what on the event bus: one identity a service, each with its own few subjects.

The replayer is an operator who puts dead letters back where they came from: no service is given its password,
since it may speak for all of them.
Every identity has an inbox prefix of its own, so that nobody hears the answers meant for another.
Publishing to a stream needs no right on the JetStream API; only control may make streams and consumers. Who
publishes may ask where the stream of events stands, to notice that it was lost.
There is no user without a password and no default user: whoever shows no credentials gets nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Identity = Literal["gateway", "relay", "control", "replayer"]

EVENTS_STREAM: Final = "TOLLHOUSE_EVENTS"
DEAD_LETTERS_STREAM: Final = "DEAD_LETTERS"
DEAD_LETTERS_PREFIX: Final = "dead_letters"
EVENT_SUBJECTS: Final = (
    "treasury.>",
    "gateway.>",
    "approval.>",
    "lockout.>",
    "compliance.>",
    "workflow.>",
    "agent.>",
    "policy.>",
)


@dataclass(frozen=True, slots=True)
class Rights:
    """Subjects that an identity may publish on and subscribe to; nothing else."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox_prefix(identity: str) -> str:
    """Where answers to this identity go."""
    return f"_INBOX.{identity}"


def _owner_of_streams() -> tuple[str, ...]:
    streams = (EVENTS_STREAM, DEAD_LETTERS_STREAM)
    return (
        *(f"$JS.API.STREAM.{verb}.{stream}" for stream in streams for verb in ("CREATE", "UPDATE", "INFO")),
        *(f"$JS.API.CONSUMER.{verb}.{EVENTS_STREAM}.>" for verb in ("CREATE", "INFO", "MSG.NEXT")),
        f"$JS.ACK.{EVENTS_STREAM}.>",
    )


def _reader_of_streams() -> tuple[str, ...]:
    streams = (EVENTS_STREAM, DEAD_LETTERS_STREAM)
    return (
        *(f"$JS.API.STREAM.{verb}.{stream}" for stream in streams for verb in ("INFO", "MSG.GET")),
        f"$JS.API.STREAM.MSG.DELETE.{DEAD_LETTERS_STREAM}",
    )


def _rights(identity: Identity, *publish: str) -> Rights:
    return Rights(publish, (f"{inbox_prefix(identity)}.>",))


RIGHTS: Final[Mapping[Identity, Rights]] = {
    "gateway": _rights("gateway", "gateway.>", f"$JS.API.STREAM.INFO.{EVENTS_STREAM}"),
    "relay": _rights("relay", "treasury.>", "workflow.>", f"$JS.API.STREAM.INFO.{EVENTS_STREAM}"),
    "control": _rights(
        "control",
        "approval.>",
        "lockout.>",
        "compliance.>",
        "policy.>",
        f"{DEAD_LETTERS_PREFIX}.>",
        *_owner_of_streams(),
    ),
    "replayer": _rights("replayer", *EVENT_SUBJECTS, *_reader_of_streams()),
}
