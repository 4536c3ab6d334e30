"""Reading a journal's file, from any thread or process. Everything raises `sqlite3.Error`."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from adapters.stream_position import StreamPosition
from gateway.core.record import event_of, goes_on
from gateway.core.settle import Settlement
from gateway.edge.journal_blocks import MOMENT_MS, block_of, moment, records
from gateway.edge.journal_file import BUSY_TIMEOUT_S, OLD
from schemas.ids import derived_id

MOMENTS_MAX: Final = 1_000


class Row(NamedTuple):
    """A record as the event stream takes it; `size` is its length in bytes as JSON.

    `event_id` is the same whenever the record is read.
    """

    seq: int
    event_id: str
    event: str
    record: dict[str, Any]
    size: int


def unshipped(path: Path, limit: int) -> list[Row]:
    """The oldest records that are not in the event stream yet."""
    with closing(_reading(path)) as connection:
        (shipped,) = connection.execute("SELECT seq FROM shipped").fetchone()
        found = _lines(connection, block_of(shipped))
        return list(islice((_row(seq, line) for seq, line in found if seq > shipped), limit))


def without_outcome(path: Path, last_block: int) -> list[bytes]:
    """The records, up to this block, of decisions that went on, where the journal has no outcome."""
    waiting: dict[str, bytes] = {}
    with closing(_reading(path)) as connection:
        (answered,) = connection.execute("SELECT block FROM answered").fetchone()
        for seq, line in _lines(connection, answered):
            document = orjson.loads(line)
            if goes_on(document) and block_of(seq) <= last_block:
                waiting[document["decision_id"]] = line
            elif event_of(document) == "completed":
                waiting.pop(document["decision_id"], None)
    return list(waiting.values())


def prunable(path: Path, before_ms: int, *, unshipped_too: bool) -> list[int]:
    """The oldest moments, MOMENTS_MAX at most, of which no record has to be kept."""
    statement = (
        "SELECT moment FROM blocks WHERE moment <= :before_ms / :moment_ms"  # noqa: S608 - all ours
        f" GROUP BY moment HAVING {OLD} ORDER BY moment LIMIT :most"
    )
    wanted = {
        "before_ms": before_ms,
        "moment_ms": MOMENT_MS,
        "unshipped_too": unshipped_too,
        "most": MOMENTS_MAX,
    }
    with closing(_reading(path)) as connection:
        return [row[0] for row in connection.execute(statement, wanted)]


def seen_position(path: Path) -> StreamPosition | None:
    """Where the event stream stood when records were last marked as safe in it; None when none ever were."""
    with closing(_reading(path)) as connection:
        row = connection.execute("SELECT created, last_seq, messages FROM stream").fetchone()
        return None if row is None else StreamPosition(datetime.fromisoformat(row[0]), row[1], row[2])


def unsettled(path: Path, limit: int, after: str = "") -> list[Settlement]:
    """What the treasury has yet to hear, of the holds behind one in the order of their ids."""
    with closing(_reading(path)) as connection:
        rows = connection.execute(
            "SELECT due FROM settlements WHERE live = 0 AND hold_id > ? ORDER BY hold_id LIMIT ?",
            (after, limit),
        )
        return [Settlement.of(orjson.loads(due)) for (due,) in rows]


def find(path: Path, decision_id: str, tenant: str, principal: str) -> dict[str, dict[str, Any]]:
    """The records of one decision by its event (`decided`, `completed`), if it was this principal's own."""
    found: dict[str, dict[str, Any]] = {
        event_of(document): document
        for document in _documents(path, decision_id)
        if document["decision_id"] == decision_id
    }
    decided = found.get("decided")
    if decided is None or (decided["tenant"], decided["principal"]["id"]) != (tenant, principal):
        return {}
    return found


def _documents(path: Path, decision_id: str) -> Iterator[dict[str, Any]]:
    """The records in which this id occurs, from the blocks of its moment."""
    named = decision_id.encode()
    with closing(_reading(path)) as connection:
        statement = "SELECT seq, lines FROM blocks WHERE moment = ? AND instr(lines, ?) ORDER BY seq"
        for block, lines in connection.execute(statement, (moment(decision_id), named)):
            yield from (orjson.loads(line) for _, line in records(block, lines) if named in line)


def _lines(connection: sqlite3.Connection, from_block: int) -> Iterator[tuple[int, bytes]]:
    """Every record from that block on, with its `seq`."""
    statement = "SELECT seq, lines FROM blocks WHERE seq >= ? ORDER BY seq"
    for block, lines in connection.execute(statement, (from_block,)):
        yield from records(block, lines)


def _row(seq: int, line: bytes) -> Row:
    document = orjson.loads(line)
    event = event_of(document)
    return Row(seq, derived_id(document["decision_id"], event, str(seq)), event, document, len(line))


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
