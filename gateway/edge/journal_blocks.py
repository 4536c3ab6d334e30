"""How the journal keeps records: in blocks, each what one commit wrote of one second's decisions.

A commit is one row instead of one for each record, which costs a third less; and the second of a decision is
in its id, so its records are found in the few blocks of that second. A block is JSON lines: the canonical
form of a record has no line's end in it.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.core.record import Entry
from schemas.ids import made_ms

RECORDS_MAX: Final = 512
"""Of one block. A record's `seq` is that of its block times this, and its place in it."""


class Block(NamedTuple):
    """The records of decisions made in one second (since the epoch), in the order of their writing."""

    made_s: int
    size: int
    lines: bytes


def blocks(entries: Sequence[Entry]) -> list[Block]:
    """What one commit writes: one block as a rule, since what is written together was decided together."""
    seconds: dict[int, list[bytes]] = {}
    for entry in entries:
        seconds.setdefault(made_s(entry.decision_id), []).append(entry.record)
    return [Block(second, len(records), b"\n".join(records)) for second, records in seconds.items()]


def records(block: int, lines: bytes) -> Iterator[tuple[int, bytes]]:
    """Each record of a block with its own `seq`."""
    return enumerate(lines.split(b"\n"), block * RECORDS_MAX)


def made_s(decision_id: str) -> int:
    """The second in which a decision was made."""
    return made_ms(decision_id) // 1000


def block_of(seq: int) -> int:
    """The block that a record is in."""
    return seq // RECORDS_MAX
