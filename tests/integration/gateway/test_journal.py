"""The journal on a real disk: durable, one commit for all that waits, found again after a restart."""

import asyncio
import os
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.stream_position import StreamPosition
from gateway.edge import journal_reading
from gateway.edge.journal import Journal, journals
from gateway.edge.journal_file import JournalFile
from gateway.errors import Unavailable
from schemas.ids import new_id
from tests.fixtures.deadlines import HUNG_S
from tests.integration.gateway.journalled import DUE, entry, found, made_at, opened, replace_due


@pytest.mark.requirement("AUD-01")
async def test_a_record_is_there_for_another_process_when_append_returns(journal: Journal) -> None:
    await journal.append(entry(record={"a": 1}))
    assert found(journal.path, "d")["decided"]["a"] == 1
    assert journal_reading.find(journal.path, "d", "other", "scout") == {}
    assert journal_reading.find(journal.path, "d", "acme", "other") == {}


@pytest.mark.requirement("AUD-01")
@pytest.mark.parametrize(("sync", "level"), [("fsync", 2), ("os", 1)])
def test_the_disk_is_waited_for_unless_the_setting_says_not_to(sync: str, level: int, tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "j.sqlite", sync)
    file.open()
    assert file._connected().execute("PRAGMA synchronous").fetchone() == (level,)
    assert file._connected().execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()


@pytest.mark.requirement("SEC-03")
async def test_the_files_of_a_journal_are_their_owners_alone(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        journal = opened(tmp_path)
    finally:
        os.umask(umask)
    await journal.append(entry())
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in os.scandir(tmp_path)}
    names = ("journal-0.lock", "journal-0.sqlite", "journal-0.sqlite-shm", "journal-0.sqlite-wal")
    assert modes == dict.fromkeys(names, 0o600)
    await journal.aclose()


async def test_what_waits_goes_in_together_and_in_order(journal: Journal) -> None:
    await asyncio.gather(*(journal.append(entry(f"d{n}")) for n in range(600)))
    rows = await journal.unshipped(1_000)
    assert len(rows) == 600
    connection = sqlite3.connect(journal.path)
    ids = [row[0] for row in connection.execute("SELECT decision_id FROM records ORDER BY seq")]
    connection.close()
    assert ids == [f"d{n}" for n in range(600)]


@pytest.mark.requirement("EVT-01")
async def test_what_was_shipped_does_not_come_again(journal: Journal) -> None:
    for n in range(3):
        await journal.append(entry(f"d{n}", allow=False))
    rows = await journal.unshipped(2)
    first, second = [row.seq for row in rows]
    assert first < second
    position = StreamPosition(datetime(2026, 3, 1, 12, tzinfo=UTC), 2, messages=2)
    assert await journal.seen_position() is None
    await journal.mark_shipped(second, position)
    await journal.mark_shipped(first, position)
    assert await journal.seen_position() == position
    (third,) = [row.seq for row in await journal.unshipped(9)]
    assert third > second
    await journal.prune(2**60, unshipped_too=False)
    assert [row.seq for row in await journal.unshipped(9)] == [third]
    await journal.prune(2**60, unshipped_too=True)
    assert await journal.unshipped(9) == []
    await journal.append(entry(allow=False))
    (fourth,) = [row.seq for row in await journal.unshipped(9)]
    assert fourth > third
    await journal.prune(0, unshipped_too=True)
    assert len(await journal.unshipped(9)) == 1


@pytest.mark.requirement("AUD-01")
async def test_records_of_several_seconds_are_each_found_by_their_decision(journal: Journal) -> None:
    ids = [made_at(ms) for ms in (1_000, 2_000, 1_001, 1_001)]
    await asyncio.gather(*(journal.append(entry(each, record={"arguments": ids})) for each in ids))
    for each in ids:
        assert found(journal.path, each)["decided"]["decision_id"] == each
    assert found(journal.path, made_at(1_000)) == {}
    assert len({row.seq for row in await journal.unshipped(9)}) == 4


@pytest.mark.requirement("EVT-01")
async def test_what_a_stream_lost_comes_again(journal: Journal) -> None:
    for n in range(3):
        await journal.append(entry(f"d{n}"))
    before, after = (StreamPosition(datetime(2026, 3, day, tzinfo=UTC), 9, 9) for day in (1, 2))
    rows = await journal.unshipped(9)
    await journal.mark_shipped(rows[-1].seq, before)
    assert await journal.unshipped(9) == []
    await journal.ship_again(after)
    assert await journal.unshipped(9) == rows
    assert await journal.seen_position() == after


@pytest.mark.requirement("GW-10")
async def test_a_settlement_is_due_from_the_decision_until_the_treasury_has_heard(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    decided = entry(hold_id="hold-1", due=DUE)
    await journal.append(decided)
    assert await journal.unsettled(9) == []
    await journal.aclose()

    again = opened(tmp_path)
    assert await again.unsettled(9) == [DUE]
    assert await again.unsettled(9, DUE.hold_id) == []
    capture = replace_due(decided, DUE._replace(act="capture"))
    await again.append(capture)
    assert await again.unsettled(9) == [DUE._replace(act="capture")]
    await again.settled("hold-1")
    assert await again.unsettled(9) == []
    await again.append(decided)
    await again.append(decided._replace(event="completed", due=None))
    await again.aclose()
    last = opened(tmp_path)
    assert await last.unsettled(9) == []
    await last.aclose()


@pytest.mark.requirement("AUD-01")
async def test_what_is_noted_is_written_without_anybody_waiting(journal: Journal) -> None:
    journal.note(entry("noted"))
    await journal.flush()
    assert journal_reading.find(journal.path, "noted", "acme", "scout")


async def test_what_was_noted_while_a_commit_ran_is_waited_for(journal: Journal) -> None:
    for n in range(20):
        appended = asyncio.create_task(journal.append(entry(f"first {n}")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        journal.note(entry(f"noted {n}"))
        await journal.flush()
        assert found(journal.path, f"noted {n}")
        await appended


async def test_what_is_noted_goes_in_with_the_next_record(journal: Journal) -> None:
    journal.note(entry("noted", "completed"))
    await journal.append(entry("next"))
    assert {row.event for row in await journal.unshipped(10)} == {"completed", "decided"}


@pytest.mark.requirement("AUD-01")
async def test_what_is_noted_outlives_a_disk_that_will_not_take_it(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    good, journal._file = journal._file, JournalFile(tmp_path / "absent" / "j.sqlite", "fsync")
    journal.note(entry("noted"))
    with pytest.raises(Unavailable):
        await journal.append(entry("refused"))
    journal._file = good
    await journal.append(entry("next"))
    assert journal_reading.find(journal.path, "noted", "acme", "scout")
    assert not journal_reading.find(journal.path, "refused", "acme", "scout")
    await journal.aclose()


async def test_closing_writes_what_was_noted(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.note(entry("noted"))
    await journal.aclose()
    assert journal_reading.find(journal.path, "noted", "acme", "scout")


async def test_every_worker_has_a_file_of_its_own_and_takes_over_a_dead_ones(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    assert first.path != second.path
    assert journals(tmp_path) == [first.path, second.path]
    await first.aclose()
    third = opened(tmp_path)
    assert third.path == first.path
    await second.aclose()
    await third.aclose()


@pytest.mark.requirement("GW-19")
async def test_a_disk_that_hangs_refuses_within_the_deadline(tmp_path: Path) -> None:
    journal = opened(tmp_path, timeout_s=0.1, queue_max=2)
    blocker = sqlite3.connect(journal.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    waiting = [asyncio.create_task(journal.append(entry(new_id()))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await journal.append(entry())
    for task in waiting:
        with pytest.raises(Unavailable) as refused:
            await task
        assert refused.value.code == "journal_unavailable"
    assert loop.time() - began_s < HUNG_S
    with pytest.raises(Unavailable):
        await journal.probe()
    blocker.execute("ROLLBACK")
    blocker.close()
    await _until_it_takes(journal)
    await journal.aclose()


async def _until_it_takes(journal: Journal) -> None:
    taken = False

    async def attempt() -> None:
        nonlocal taken
        try:
            await journal.append(entry())
            taken = True
        except Unavailable:
            taken = False

    deadline = asyncio.get_running_loop().time() + 10
    while not taken:
        await attempt()
        assert asyncio.get_running_loop().time() < deadline


@pytest.mark.requirement("GW-19")
async def test_a_file_that_is_no_journal_fails_every_record_and_the_rest_of_the_work(
    journal: Journal,
) -> None:
    await journal.append(entry())
    connection = sqlite3.connect(journal.path)
    connection.execute("DROP TABLE blocks")
    connection.execute("DROP TABLE shipped")
    connection.close()
    with pytest.raises(Unavailable):
        await journal.append(entry())
    await journal.append(entry())
    assert (await journal.unshipped(9))[0].event == "decided"


async def test_a_caller_who_stopped_waiting_is_nobodys_trouble(journal: Journal) -> None:
    task = asyncio.create_task(journal.append(entry("left")))
    await asyncio.sleep(0)
    task.cancel()
    await journal.append(entry("stayed"))
    assert task.cancelled()
    assert journal_reading.find(journal.path, "stayed", "acme", "scout")


@pytest.mark.requirement("GW-19")
async def test_a_record_that_nobody_could_write_fails_alone(journal: Journal) -> None:
    unwritable: Any = object()
    for broken in (entry()._replace(record=unwritable), entry(hold_id="\ud800"), entry(hold_id=unwritable)):
        with pytest.raises(Unavailable):
            await journal.append(broken)
        journal.note(broken)
        await journal.flush()
        await journal.append(entry("after"))
    await journal.probe()


@pytest.mark.requirement("GW-10")
async def test_the_hold_of_a_record_that_was_written_too_late_is_due_to_be_voided(tmp_path: Path) -> None:
    journal = opened(tmp_path, timeout_s=0.05)
    blocker = sqlite3.connect(journal.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await journal.append(entry(hold_id="hold-1", due=DUE))
    blocker.execute("ROLLBACK")
    blocker.close()
    async with asyncio.timeout(HUNG_S):
        while await journal.unsettled(9) != [DUE._replace(act="void")]:
            await asyncio.sleep(0.01)
    assert journal_reading.find(journal.path, "d", "acme", "scout")
    await journal.settled("hold-1")
    assert await journal.unsettled(9) == []
    await journal.aclose()


@pytest.mark.requirement("GW-10")
async def test_a_refusal_leaves_its_hold_due_at_once(journal: Journal) -> None:
    void = DUE._replace(act="void")
    journal.note(entry(hold_id="hold-1", due=void))
    await journal.flush()
    assert await journal.unsettled(9) == [void]


async def test_notes_are_kept_up_to_a_limit(tmp_path: Path) -> None:
    journal = opened(tmp_path, queue_max=4)
    for n in range(9):
        journal.note(entry(f"d{n}"))
    await journal.flush()
    assert len(await journal.unshipped(9)) == 4
    await journal.aclose()
