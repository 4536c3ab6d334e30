"""What is old leaves the journal, a decision as a whole."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.stream_position import StreamPosition
from gateway.edge import journal_reading
from gateway.edge.journal import Journal
from gateway.edge.journal_file import PRUNE_MAX, JournalFile
from schemas.ids import new_id
from tests.integration.gateway.journalled import count, entry, found, made_at


@pytest.mark.requirement("AUD-01")
async def test_a_record_is_there_for_another_process_when_append_returns(journal: Journal) -> None:
    await journal.append(entry(record={"a": 1}))
    assert found(journal.path, "d")["decided"]["a"] == 1
    assert journal_reading.find(journal.path, "d", "other", "scout") == {}
    assert journal_reading.find(journal.path, "d", "acme", "other") == {}


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
    assert file.prune(5_000, unshipped_too=False) == 0
    file.mark_shipped(seqs[3], position)
    assert file.prune(5_000, unshipped_too=False) == 2
    assert found(tmp_path / "j.sqlite", short) == {}
    assert len(found(tmp_path / "j.sqlite", long)) == 2
    assert file.prune(10_000, unshipped_too=True) == 2
    file.close()


@pytest.mark.requirement("AUD-02")
async def test_all_that_is_old_goes_however_much_it_is(journal: Journal) -> None:
    for second in range(2 * PRUNE_MAX + 1):
        await journal.append(entry(made_at(second * 1_000)))
    await journal.append(entry(new_id()))
    await journal.prune(int(time.time() - 60) * 1_000, unshipped_too=False)
    assert count(journal.path) == 2 * PRUNE_MAX + 2
    await journal.prune(int(time.time() - 60) * 1_000, unshipped_too=True)
    assert count(journal.path) == 2 * PRUNE_MAX + 2
    await journal.prune(2**60, unshipped_too=True)
    assert count(journal.path) == 0
