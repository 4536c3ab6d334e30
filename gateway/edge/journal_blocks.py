"""How the journal keeps records: in blocks, each what one commit wrote of decisions made in one moment.

A commit is one row instead of one for each record, which costs a third less. The moment of a decision, of
256 ms, is in its id, so its records are found in the few blocks of that moment. A block is JSON lines: the
canonical form of a record has no line's end in it.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.core.record import Entry
from schemas.ids import made_ms

MOMENT_MS: Final = 256
_MOMENT_CHARS: Final = len("01234567-89")
RECORDS_MAX: Final = 512
"""Of one block. A record's `seq` is that of its block times this, and its place in it."""


class Block(NamedTuple):
    """The records of decisions made in one moment, in the order of their writing."""

    moment: int
    size: int
    lines: bytes


def blocks(entries: Sequence[Entry]) -> list[Block]:
    """What one commit writes: one block as a rule, since what is written together was decided together."""
    moments: dict[str, list[bytes]] = {}
    for entry in entries:
        moments.setdefault(entry.decision_id[:_MOMENT_CHARS], []).append(entry.record)
    return [Block(moment(made), len(records), b"\n".join(records)) for made, records in moments.items()]


def records(block: int, lines: bytes) -> Iterator[tuple[int, bytes]]:
    """Each record of a block with its own `seq`."""
    return enumerate(lines.split(b"\n"), block * RECORDS_MAX)


def moment(decision_id: str) -> int:
    """When a decision was made, in units of MOMENT_MS since the epoch. Of its id, the start will do."""
    return made_ms(decision_id[:_MOMENT_CHARS] + "00") // MOMENT_MS


def block_of(seq: int) -> int:
    """The block that a record is in."""
    return seq // RECORDS_MAX
