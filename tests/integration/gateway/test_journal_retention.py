"""What is old leaves the journal, a decision as a whole."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.stream_position import StreamPosition
from gateway.edge import journal_reading
from gateway.edge.journal import Journal
from gateway.edge.journal_file import PRUNE_MAX, JournalFile
from gateway.edge.journal_layout import why_unusable
from schemas.ids import new_id
from tests.integration.gateway.journalled import count, entry, found, made_at


@pytest.mark.requirement("AUD-02")
async def test_a_decision_is_forgotten_as_a_whole(tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "j.sqlite", "os")
    file.open()
    long, short = made_at(1_000), made_at(2_000)
    file.write([entry(long)], 1_001)
    file.write([entry(short)], 2_001)
    file.write([entry(short, "completed")], 2_002)
    file.write([entry(long, "completed")], 9_000)
    position = StreamPosition(datetime(2026, 3, 1, tzinfo=UTC), 9, 9)
    seqs = [row.seq for row in journal_reading.unshipped(tmp_path / "j.sqlite", 9)]
    file.mark_shipped(seqs[1], position)
    assert pruned(file, 5_000, unshipped_too=False) == 0
    file.mark_shipped(seqs[3], position)
    assert pruned(file, 5_000, unshipped_too=False) == 2
    assert found(tmp_path / "j.sqlite", short) == {}
    assert len(found(tmp_path / "j.sqlite", long)) == 2
    assert pruned(file, 10_000, unshipped_too=True) == 2
    file.close()


def pruned(file: JournalFile, before_ms: int, *, unshipped_too: bool) -> int:
    """How many blocks one round deletes."""
    moments = journal_reading.prunable(file._path, before_ms, unshipped_too=unshipped_too)
    return file.prune(moments, before_ms, unshipped_too=unshipped_too)


@pytest.mark.requirement("AUD-02")
async def test_all_that_is_old_goes_however_much_it_is(journal: Journal) -> None:
    for second in range(2 * PRUNE_MAX + 1):
        await journal.append(entry(made_at(second * 1_000), allow=False))
    for _ in range(PRUNE_MAX + 1):
        await journal.append(entry(made_at(1_000), allow=False))
    await journal.append(entry(new_id(), allow=False))
    minute_ago_ms = int(time.time() - 60) * 1_000
    everything = 3 * PRUNE_MAX + 3
    await journal.prune(minute_ago_ms, unshipped_too=False)
    await journal.prune(minute_ago_ms, unshipped_too=True)
    assert count(journal.path) == everything
    await journal.prune(2**60, unshipped_too=True)
    assert count(journal.path) == 0


@pytest.mark.requirement("AUD-02")
async def test_a_piece_is_small_however_much_one_moment_holds(tmp_path: Path) -> None:
    """The journal's thread is held up for no longer than that."""
    file = JournalFile(tmp_path / "j.sqlite", "os")
    file.open()
    for _ in range(PRUNE_MAX + 1):
        file.write([entry(made_at(1_000), allow=False)], 1_001)
    assert pruned(file, 5_000, unshipped_too=True) == PRUNE_MAX
    assert pruned(file, 5_000, unshipped_too=True) == 1
    file.close()


@pytest.mark.requirement("AUD-01")
async def test_a_decision_that_wants_for_an_outcome_stays(tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "j.sqlite", "os")
    file.open()
    file.complete_lost([], datetime.now(UTC))
    going_on = made_at(1_000)
    file.write([entry(going_on)], 1_001)
    assert pruned(file, 5_000, unshipped_too=True) == 0
    assert len(journal_reading.without_outcome(tmp_path / "j.sqlite", 9)) == 1
    file.write([entry(going_on, "completed")], 1_002)
    assert pruned(file, 5_000, unshipped_too=True) == 2
    file.close()


@pytest.mark.requirement("AUD-01")
async def test_a_journal_of_another_version_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY)")
    with pytest.raises(
        sqlite3.DatabaseError, match=rf"{path} has the layout of another version \(0, .* move it"
    ):
        JournalFile(path, "os").open()


@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize("text", [b"no database\n" * 100, b"SQLite format 3\0" + bytes(5_000)])
def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(text)
    with pytest.raises(sqlite3.DatabaseError, match=f"{path} is no SQLite database, .* move it"):
        JournalFile(path, "os").open()
    assert str(path) in (why_unusable(path) or "")
    assert path.read_bytes() == text
    assert [each.name for each in tmp_path.iterdir()] == ["j.sqlite"]


def test_a_journal_of_ours_can_be_used_and_one_that_cannot_be_asked_is_left_to_the_gateway(
    tmp_path: Path,
) -> None:
    file = JournalFile(tmp_path / "j.sqlite", "os")
    file.open()
    assert why_unusable(tmp_path / "j.sqlite") is None
    file.close()
    assert why_unusable(tmp_path / "j.sqlite") is None
    assert why_unusable(tmp_path / "none.sqlite") is None
