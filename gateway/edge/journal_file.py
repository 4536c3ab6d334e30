"""One journal's file: SQLite, written by one thread, read by anybody (`gateway.edge.journal_reading`).

blocks        every record, in the order of its writing (`gateway.edge.journal_blocks`); a `seq` never
              comes twice
records       the same, one a row: a view for people
settlements   what the treasury has yet to hear of a hold, written in the same commit as the record that
              it follows from; `live` while the call may be under way in the process that wrote it
shipped       the last record's `seq` that is safe in the event stream
stream        where that stream stood then, so that one that lost its storage is noticed
answered      no decision in a block before this one wants for an outcome
"""

import os
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from adapters.stream_position import StreamPosition
from gateway.core import record
from gateway.core.record import Entry
from gateway.core.settle import Settlement
from gateway.edge.journal_blocks import RECORDS_MAX, Block, blocks, moment
from gateway.edge.journal_layout import LAYOUT, require_layout

PRUNE_MAX: Final = 32
PROBE_BYTES: Final = 32_768
BUSY_TIMEOUT_S: Final = 5.0
OLD: Final = f"""max(written_ms) < :before_ms
AND (:unshipped_too OR max(seq * {RECORDS_MAX} + size - 1) <= (SELECT seq FROM shipped))"""  # noqa: S608
"""Of all blocks of a moment: none has to be kept."""
_SCHEMA: Final = f"""
PRAGMA user_version = {LAYOUT};
CREATE TABLE IF NOT EXISTS blocks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    moment INTEGER NOT NULL,
    written_ms INTEGER NOT NULL,
    size INTEGER NOT NULL CHECK (size BETWEEN 1 AND {RECORDS_MAX}),
    lines BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS blocks_by_time ON blocks (moment);
CREATE VIEW IF NOT EXISTS records AS
SELECT
    blocks.seq * {RECORDS_MAX} + line.key AS seq,
    json_extract(line.value, '$.decision_id') AS decision_id,
    iif(json_type(line.value, '$.outcome') IS NULL, 'decided', 'completed') AS event,
    line.value AS record
FROM blocks, json_each('[' || replace(CAST(blocks.lines AS TEXT), char(10), ',') || ']') AS line;
CREATE TABLE IF NOT EXISTS settlements (
    hold_id TEXT PRIMARY KEY,
    due TEXT NOT NULL,
    live INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shipped (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO shipped VALUES (1, 0);
CREATE TABLE IF NOT EXISTS stream (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    created TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answered (one INTEGER PRIMARY KEY CHECK (one = 1), block INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO answered VALUES (1, 0);
CREATE TABLE IF NOT EXISTS probe (one INTEGER PRIMARY KEY CHECK (one = 1), noise BLOB NOT NULL) STRICT;
"""  # noqa: S608 - all ours
_LAST_BLOCK: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'blocks'"
_INSERTED: Final = "INSERT INTO blocks (moment, written_ms, size, lines) VALUES (?, ?, ?, ?)"
_PRUNED: Final = f"""
DELETE FROM blocks WHERE seq IN (
    SELECT seq FROM blocks WHERE moment IN (
        SELECT moment FROM blocks
        WHERE moment IN (SELECT value FROM json_each(:moments))
        GROUP BY moment
        HAVING {OLD}
    )
    ORDER BY seq LIMIT {PRUNE_MAX}
)
"""  # noqa: S608 - all ours


class JournalFile:
    """The writing end. Every method raises `sqlite3.Error` where the disk will not take it.

    `sync` is "fsync" (a commit is on disk when it returns) or "os" (it outlives the process, no more).
    """

    def __init__(self, path: Path, sync: str) -> None:
        self._path = path
        self._sync = "FULL" if sync == "fsync" else "NORMAL"
        self._connection: sqlite3.Connection | None = None
        self._last_block = 0
        self._going_on: dict[str, int] = {}
        self._unsure_from: dict[str, int] = {}

    def open(self) -> int:
        """Make or open the file: what was under way when the last process ended is due from now on.

        Answers the last block's `seq`. Up to it, outcomes may be missing until `complete_lost`.
        """
        connection = self._connected()
        connection.execute("UPDATE settlements SET live = 0 WHERE live = 1")
        (self._last_block,) = connection.execute(_LAST_BLOCK).fetchone()
        (self._unsure_from["before"],) = connection.execute("SELECT block FROM answered").fetchone()
        return self._last_block

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def write(self, entries: Sequence[Entry], at_ms: int) -> None:
        """Write all of them, RECORDS_MAX at most, in one commit, or none."""
        try:
            made = blocks(entries)
            last_block = self._write(made, [entry for entry in entries if entry.hold_id], at_ms)
        except BaseException:
            # For all that we know it is on disk nevertheless.
            self._unsure_from.setdefault("failed", self._last_block)
            raise
        if "failed" in self._unsure_from:
            self._look_back(last_block - len(made))
        self._follow(entries, last_block)

    def complete_lost(self, decided: Sequence[bytes], now: datetime) -> None:
        """Complete these decisions, whose outcome nobody lived to write, as unknown. They are all that want
        for one of before the file was opened."""
        lost = [record.lost(orjson.loads(line), _rfc3339(now)) for line in decided]
        pieces = [lost[at : at + RECORDS_MAX] for at in range(0, len(lost), RECORDS_MAX)]
        self._last_block = self._write([block for piece in pieces for block in blocks(piece)], [], _ms(now))
        del self._unsure_from["before"]

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
        ended = [
            record.never_sent(orjson.loads(entry.record), _rfc3339(now)) for entry in entries if entry.goes_on
        ]
        connection = self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE settlements SET due = ?, live = 0 WHERE hold_id = ? AND live = 1", voids
            )
            last_block = self._insert(connection, blocks(ended), _ms(now))
        self._follow(ended, last_block)

    def mark_shipped(self, seq: int, position: StreamPosition) -> None:
        """All records up to this one are safe in the event stream, which stands there."""
        self._ship("UPDATE shipped SET seq = max(seq, ?)", seq, position)

    def ship_again(self, position: StreamPosition) -> None:
        """No record is safe in the event stream, which stands there."""
        self._ship("UPDATE shipped SET seq = ?", 0, position)

    def prune(self, moments: Sequence[int], before_ms: int, *, unshipped_too: bool) -> int:
        """Delete blocks of these moments, the oldest PRUNE_MAX of them; answers how many.

        A moment goes as a whole, if need be in several pieces: once none of its records has to be kept, and
        none of its decisions wants for an outcome.
        """
        going_on = {moment(decision_id) for decision_id in self._going_on}
        wanted = {
            "moments": orjson.dumps([each for each in moments if each not in going_on]).decode(),
            "before_ms": before_ms,
            "unshipped_too": unshipped_too,
        }
        connection = self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            pruned = connection.execute(_PRUNED, wanted).rowcount
            self._note_answered(connection)
        return pruned

    def _write(self, made: Sequence[Block], held: Sequence[Entry], at_ms: int) -> int:
        """The last block's `seq`. One block alone is a commit by itself, which saves two statements."""
        connection = self._connected()
        if len(made) == 1 and not held:
            return self._insert(connection, made, at_ms)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            last_block = self._insert(connection, made, at_ms)
            for entry in held:
                _note_due(connection, entry)
        return last_block

    def _insert(self, connection: sqlite3.Connection, made: Sequence[Block], at_ms: int) -> int:
        last_block = self._last_block
        for made_in, size, lines in made:
            last_block = connection.execute(_INSERTED, (made_in, at_ms, size, lines)).lastrowid or 0
        return last_block

    def _follow(self, entries: Sequence[Entry], last_block: int) -> None:
        """Know the block before which every decision has its outcome."""
        first_block = self._last_block + 1
        self._last_block = last_block
        for entry in entries:
            if entry.goes_on:
                self._going_on[entry.decision_id] = first_block
            elif entry.event == "completed":
                self._going_on.pop(entry.decision_id, None)

    def _look_back(self, block_before: int) -> None:
        """Whether what failed is on disk: only then it stands before what was taken since."""
        failed = self._unsure_from.pop("failed")
        if block_before != self._last_block:
            self._unsure_from.setdefault("landed", failed)

    def _note_answered(self, connection: sqlite3.Connection) -> None:
        going_on = next(iter(self._going_on.values()), self._last_block)
        answered = min(going_on, *self._unsure_from.values(), self._last_block)
        connection.execute("UPDATE answered SET block = ?", (answered,))

    def _ship(self, statement: str, seq: int, position: StreamPosition) -> None:
        connection = self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(statement, (seq,))
            stands = (position.created.isoformat(), position.last_seq, position.messages)
            connection.execute("REPLACE INTO stream VALUES (1, ?, ?, ?)", stands)
            self._note_answered(connection)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            _make(self._path)
            require_layout(self._path)
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
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


def _make(path: Path) -> None:
    """Make the file where there is none, for its owner alone: SQLite gives -wal and -shm the same mode.

    One that is there is not even opened: closing it again would let go of SQLite's locks on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise sqlite3.OperationalError(f"{path} cannot be made: {error.strerror}") from None


def _note_due(connection: sqlite3.Connection, entry: Entry) -> None:
    if entry.due is None:
        connection.execute("DELETE FROM settlements WHERE hold_id = ?", (entry.hold_id,))
        return
    live = entry.event == "decided" and entry.due.act == "unknown"
    row = (entry.hold_id, _text(entry.due), live)
    connection.execute("INSERT OR REPLACE INTO settlements VALUES (?, ?, ?)", row)


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _text(due: Settlement) -> str:
    return orjson.dumps(due.document()).decode()
