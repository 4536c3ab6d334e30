"""Calls whose outcome nobody wrote: they are found at the next start, and completed."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.stream_position import StreamPosition
from gateway.edge import journal_reading
from gateway.edge.journal_blocks import RECORDS_MAX
from gateway.edge.journal_file import JournalFile
from gateway.errors import Unavailable
from schemas.ids import new_id
from schemas.record import Completed
from tests.fixtures.deadlines import HUNG_S
from tests.integration.gateway.journalled import BOTH, count, entry, found, opened


@pytest.mark.requirement("AUD-01")
async def test_a_call_whose_outcome_died_with_its_gateway_is_completed_as_unknown(tmp_path: Path) -> None:
    first = opened(tmp_path)
    await first.append(entry("answered"))
    await first.append(entry("answered", "completed"))
    await first.append(entry("refused", allow=False))
    await first.append(entry("lost"))
    await first.aclose()

    for going_on in ("one", "two"):
        later = opened(tmp_path)
        await later.append(entry(going_on))
        await later.complete_lost()
        assert list(found(first.path, going_on)) == ["decided"]
        await later.append(entry(going_on, "completed"))
        await later.aclose()
        assert list(found(first.path, "refused")) == ["decided"]
        assert found(first.path, "answered")["completed"]["outcome"] == "succeeded"
        lost = Completed.model_validate(found(first.path, "lost")["completed"])
        assert (lost.outcome, lost.status, lost.code) == ("unknown", 0, "internal")
        assert (lost.decision_id, lost.workflow_id, lost.hold_id) == ("lost", "w", "h")
    assert count(first.path) == 5 + 2 * 2


@pytest.mark.requirement("AUD-01")
async def test_the_search_for_lost_outcomes_begins_where_all_is_answered(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.complete_lost()
    position = StreamPosition(datetime(2026, 3, 1, tzinfo=UTC), 9, 9)
    ids = [new_id() for _ in range(4)]
    for event in BOTH:
        for each in ids[:2]:
            await journal.append(entry(each, event))
    await journal.append(entry(ids[2]))
    await journal.append(entry(ids[3]))
    await journal.append(entry(ids[3], "completed"))
    await journal.mark_shipped(0, position)
    assert await asyncio.to_thread(searched, journal.path) == {ids[2], ids[3]}
    await journal.append(entry(ids[2], "completed"))
    await journal.prune(0, unshipped_too=False)
    assert await asyncio.to_thread(searched, journal.path) == {ids[2]}
    await journal.aclose()


@pytest.mark.requirement("AUD-01")
async def test_until_what_was_lost_is_completed_it_is_found_again(tmp_path: Path) -> None:
    """A gateway that is killed soon after its start, too."""
    first = opened(tmp_path)
    await first.append(entry("lost"))
    await first.aclose()
    second = opened(tmp_path)
    await second.append(entry("answered"))
    await second.append(entry("answered", "completed"))
    await second.mark_shipped(0, StreamPosition(datetime(2026, 3, 1, tzinfo=UTC), 9, 9))
    await second.aclose()
    third = opened(tmp_path)
    await third.complete_lost()
    assert found(third.path, "lost")["completed"]["outcome"] == "unknown"
    await third.aclose()


@pytest.mark.requirement("AUD-01")
async def test_a_search_that_could_not_be_finished_completes_nothing_twice(tmp_path: Path) -> None:
    first = opened(tmp_path)
    await first.append(entry("lost"))
    await first.aclose()
    file = JournalFile(first.path, "os")
    last_block = file.open()
    lost = journal_reading.without_outcome(first.path, last_block)
    file.complete_lost(lost, datetime.now(UTC))
    assert journal_reading.without_outcome(first.path, last_block) == []
    file.close()


@pytest.mark.requirement("AUD-01")
async def test_a_commit_that_failed_is_searched_where_it_reached_the_disk(tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "j.sqlite", "os")
    file.open()
    file.complete_lost([], datetime.now(UTC))
    answered(file, "before")
    with pytest.raises(UnicodeEncodeError):
        file.write([entry(hold_id="\ud800")], 1)
    file.prune([], 0, unshipped_too=False)
    assert "before" in searched(tmp_path / "j.sqlite")
    answered(file, "after")
    answered(file, "last")
    file.prune([], 0, unshipped_too=False)
    assert searched(tmp_path / "j.sqlite") == {"last"}
    with closing(sqlite3.connect(tmp_path / "j.sqlite")) as other:
        with pytest.raises(UnicodeEncodeError):
            file.write([entry(hold_id="\ud800")], 1)
        other.execute("INSERT INTO blocks SELECT 99, moment, written_ms, size, lines FROM blocks LIMIT 1")
        other.commit()
    for decision_id in ("x", "y", "z"):
        answered(file, decision_id)
    file.prune([], 0, unshipped_too=False)
    assert {"last", "x", "y", "z"} <= searched(tmp_path / "j.sqlite")
    file.close()


def answered(file: JournalFile, decision_id: str) -> None:
    """Write a decision and its outcome."""
    for event in BOTH:
        file.write([entry(decision_id, event)], 1)


def searched(path: Path) -> set[str]:
    """The decisions that a search for lost outcomes reads."""
    with closing(sqlite3.connect(path)) as connection:
        statement = (
            f"SELECT decision_id FROM records WHERE seq >= (SELECT block * {RECORDS_MAX} FROM answered)"
        )
        return {row[0] for row in connection.execute(statement)}


@pytest.mark.requirement("AUD-01")
async def test_more_than_one_block_of_outcomes_was_lost(tmp_path: Path) -> None:
    first = opened(tmp_path)
    lost = [new_id() for _ in range(RECORDS_MAX + 1)]
    await asyncio.gather(*(first.append(entry(each)) for each in lost))
    await first.aclose()
    second = opened(tmp_path)
    await second.complete_lost()
    rows = await second.unshipped(9 * RECORDS_MAX)
    assert [row.record["decision_id"] for row in rows if row.event == "completed"] == lost
    assert len({row.event_id for row in rows}) == 2 * len(lost)
    await second.aclose()


@pytest.mark.requirement("AUD-01")
async def test_a_call_that_was_refused_since_its_record_was_late_has_failed(tmp_path: Path) -> None:
    journal = opened(tmp_path, timeout_s=0.05)
    blocker = sqlite3.connect(journal.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for decision_id, allow in (("late", True), ("refused", False)):
        with pytest.raises(Unavailable):
            await journal.append(entry(decision_id, allow=allow))
    blocker.execute("ROLLBACK")
    blocker.close()
    async with asyncio.timeout(HUNG_S):
        while "completed" not in found(journal.path, "late"):
            await asyncio.sleep(0.01)
    await journal.aclose()
    await opened(tmp_path).aclose()
    ended = Completed.model_validate(found(journal.path, "late")["completed"])
    assert (ended.outcome, ended.status, ended.code) == ("failed", 0, "journal_unavailable")
    assert "completed" not in found(journal.path, "refused")
