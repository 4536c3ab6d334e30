"""One journal's file: SQLite, written by one thread, read by anybody.

    records       every record, in the order of its writing; a `seq` never comes twice. They are found by the
                  millisecond in their decision's id: an index over numbers that only grow costs a third of
                  one over the ids
    settlements   what the treasury has yet to hear of a hold, written in the same commit as the record that
                  it follows from; `live` while the call may be under way in the process that wrote it
    shipped       the last `seq` that is safe in the event stream
    opened        the last `seq` when the file was last opened: no decision up to it wants for an outcome
    stream        where that stream stood then, so that one that lost its storage is noticed

All records of a commit go in with one statement, since the writing thread has to win the interpreter back
from the event loop after each. Its rows are filled up to a power of two with empty ones, which it leaves out:
so there are few statements, and SQLite keeps them all prepared.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from adapters.stream_position import StreamPosition
from gateway.core.record import Entry, lost, never_sent
from gateway.core.settle import Settlement
from schemas.ids import derived_id, made_ms

PRUNE_MAX: Final = 5_000
PROBE_BYTES: Final = 32_768
_BUSY_TIMEOUT_S: Final = 5.0
_STATEMENTS_CACHED: Final = 32
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    made_ms INTEGER NOT NULL,
    event TEXT NOT NULL CHECK (event IN ('decided', 'completed')),
    decision_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    principal TEXT NOT NULL,
    record BLOB NOT NULL,
    written_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS records_by_time ON records (made_ms);
CREATE TABLE IF NOT EXISTS settlements (
    hold_id TEXT PRIMARY KEY,
    due TEXT NOT NULL,
    live INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shipped (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS stream (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    created TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS probe (one INTEGER PRIMARY KEY CHECK (one = 1), noise BLOB NOT NULL) STRICT;
INSERT OR IGNORE INTO shipped VALUES (1, 0);
CREATE TABLE IF NOT EXISTS opened (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO opened VALUES (1, 0);
"""
_LONGEST_CALL_MS: Final = 4 * 3_600_000
_WITHOUT_OUTCOME: Final = """
SELECT decision_id, event, tenant, principal, record FROM records AS one
WHERE made_ms > (SELECT max(made_ms) FROM records) - ? AND seq > (SELECT seq FROM opened)
AND event = 'decided' AND json_extract(CAST(record AS TEXT), '$.allow')
AND NOT EXISTS (
    SELECT 1 FROM records
    WHERE made_ms = one.made_ms AND decision_id = one.decision_id AND event = 'completed'
)
"""
_COLUMNS: Final = "made_ms, event, decision_id, tenant, principal, record, written_ms"
_COLUMNS_COUNT: Final = 7


class Row(NamedTuple):
    """A record as the event stream takes it; `record` is the JSON of `schemas.record`.

    `event_id` is the same whenever the record is read.
    """

    seq: int
    event_id: str
    event: str
    tenant: str
    record: bytes


class JournalFile:
    """The writing end. Every method raises `sqlite3.Error` where the disk will not take it.

    `sync` is "fsync" (a commit is on disk when it returns) or "os" (it outlives the process, no more).
    """

    def __init__(self, path: Path, sync: str) -> None:
        self._path = path
        self._sync = "FULL" if sync == "fsync" else "NORMAL"
        self._connection: sqlite3.Connection | None = None

    def open(self, now: datetime) -> None:
        """Make or open the file. What was under way when the last process ended is due from now on, and the
        calls whose outcome it took with it are completed as unknown."""
        connection = self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE settlements SET live = 0 WHERE live = 1")
            for row in connection.execute(_WITHOUT_OUTCOME, (_LONGEST_CALL_MS,)).fetchall():
                self._insert(connection, [lost(Entry(*row), _rfc3339(now))], int(now.timestamp() * 1000))
            connection.execute("UPDATE opened SET seq = (SELECT coalesce(max(seq), 0) FROM records)")

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def write(self, entries: Sequence[Entry], at_ms: int) -> None:
        """Write all of them in one commit, or none."""
        connection = self._connected()
        if not any(entry.hold_id for entry in entries):
            self._insert(connection, entries, at_ms)
            return
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            self._insert(connection, entries, at_ms)
            for entry in entries:
                _note_due(connection, entry)

    def probe(self) -> None:
        """Prove that there is room for records: a commit larger than that of one of them."""
        self._connected().execute("REPLACE INTO probe VALUES (1, randomblob(?))", (PROBE_BYTES,))

    def settled(self, hold_id: str) -> None:
        """The treasury has heard."""
        self._connected().execute("DELETE FROM settlements WHERE hold_id = ? AND live = 0", (hold_id,))

    def never_sent(self, entries: Sequence[Entry], now: datetime) -> None:
        """Calls that were refused after all, since their records were late: their holds are to be voided, and
        their outcome is that nothing was done."""
        voids = [(_text(entry.due._replace(act="void")), entry.hold_id) for entry in entries if entry.due]
        statement = "UPDATE settlements SET due = ?, live = 0 WHERE hold_id = ? AND live = 1"
        connection = self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, voids)
            ended = [outcome for entry in entries if (outcome := never_sent(entry, _rfc3339(now)))]
            if ended:
                self._insert(connection, ended, int(now.timestamp() * 1000))

    def mark_shipped(self, seq: int, position: StreamPosition) -> None:
        """All records up to this one are safe in the event stream, which stands there."""
        self._ship("UPDATE shipped SET seq = max(seq, ?)", seq, position)

    def ship_again(self, position: StreamPosition) -> None:
        """No record is safe in the event stream, which stands there."""
        self._ship("UPDATE shipped SET seq = ?", 0, position)

    def prune(self, before_ms: int, *, unshipped_too: bool) -> int:
        """Delete the records of the oldest decisions, of PRUNE_MAX at most; answers how many records.

        A decision goes as a whole, once none of its records has to be kept.
        """
        bound = "" if unshipped_too else "AND seq <= (SELECT seq FROM shipped)"
        old = f"written_ms < ? {bound}"
        cursor = self._connected().execute(
            "DELETE FROM records WHERE (made_ms, decision_id) IN ("  # noqa: S608 - all ours
            f"SELECT made_ms, decision_id FROM records AS one WHERE {old} AND NOT EXISTS ("
            "SELECT 1 FROM records WHERE made_ms = one.made_ms AND decision_id = one.decision_id"
            f" AND NOT ({old})) ORDER BY seq LIMIT ?)",
            (before_ms, before_ms, PRUNE_MAX),
        )
        return cursor.rowcount

    def _ship(self, statement: str, seq: int, position: StreamPosition) -> None:
        connection = self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(statement, (seq,))
            stands = (position.created.isoformat(), position.last_seq, position.messages)
            connection.execute("REPLACE INTO stream VALUES (1, ?, ?, ?)", stands)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                cached_statements=_STATEMENTS_CACHED,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA synchronous = {self._sync}")
                connection.executescript(_SCHEMA)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _insert(self, connection: sqlite3.Connection, entries: Sequence[Entry], at_ms: int) -> None:
        values: list[Any] = []
        for entry in entries:
            values += (
                made_ms(entry.decision_id),
                entry.event,
                entry.decision_id,
                entry.tenant,
                entry.principal,
                entry.record,
                at_ms,
            )
        rows = 1 << (len(entries) - 1).bit_length()
        values += [None] * (_COLUMNS_COUNT * (rows - len(entries)))
        connection.execute(_insertion(rows), values)


@lru_cache
def _insertion(rows: int) -> str:
    row = f"({', '.join('?' * _COLUMNS_COUNT)})"
    return (
        f"INSERT INTO records ({_COLUMNS})"  # noqa: S608 - no value in it
        f" SELECT * FROM (VALUES {', '.join([row] * rows)}) WHERE column1 IS NOT NULL"
    )


def _note_due(connection: sqlite3.Connection, entry: Entry) -> None:
    if entry.due is None:
        connection.execute("DELETE FROM settlements WHERE hold_id = ?", (entry.hold_id,))
        return
    live = entry.event == "decided" and entry.due.act == "unknown"
    row = (entry.hold_id, _text(entry.due), live)
    connection.execute("INSERT OR REPLACE INTO settlements VALUES (?, ?, ?)", row)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(due: Settlement) -> str:
    return orjson.dumps(due.document()).decode()


def unshipped(path: Path, limit: int) -> list[Row]:
    """The oldest records that are not in the event stream yet."""
    with closing(_reading(path)) as connection:
        rows = connection.execute(
            "SELECT seq, decision_id, event, tenant, record FROM records"
            " WHERE seq > (SELECT seq FROM shipped) ORDER BY seq LIMIT ?",
            (limit,),
        )
        return [_row(*row) for row in rows]


def _row(seq: int, decision_id: str, event: str, tenant: str, record: bytes) -> Row:
    return Row(seq, derived_id(decision_id, event, str(seq)), event, tenant, record)


def seen_position(path: Path) -> StreamPosition | None:
    """Where the event stream stood when records were last marked as safe in it; None when none ever were."""
    with closing(_reading(path)) as connection:
        row = connection.execute("SELECT created, last_seq, messages FROM stream").fetchone()
        return None if row is None else StreamPosition(datetime.fromisoformat(row[0]), row[1], row[2])


def unsettled(path: Path, limit: int) -> list[Settlement]:
    """What the treasury has yet to hear."""
    with closing(_reading(path)) as connection:
        rows = connection.execute("SELECT due FROM settlements WHERE live = 0 LIMIT ?", (limit,))
        return [Settlement(**orjson.loads(due)) for (due,) in rows]


def find(path: Path, decision_id: str, tenant: str, principal: str) -> dict[str, dict[str, Any]]:
    """The records of one decision by its event (`decided`, `completed`), if it was this principal's own."""
    with closing(_reading(path)) as connection:
        rows = connection.execute(
            "SELECT event, record FROM records"
            " WHERE made_ms = ? AND decision_id = ? AND tenant = ? AND principal = ?",
            (made_ms(decision_id), decision_id, tenant, principal),
        )
        return {event: orjson.loads(record) for event, record in rows}


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S)
