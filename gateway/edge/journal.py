"""The journal: what was decided and how it ended, on disk before anything goes on.

One file a worker (`gateway.edge.journal_file`) and one thread that writes it. What waits while a commit runs
goes into the next one together. A caller waits at most its timeout; then its call is refused, though its
record may still come to be written: its hold is then due to be voided. A write that fails fails every record
in it, whatever it fails of, and the file is opened anew for the next one, so the journal is back as soon as
the disk is.

The outcome of a free call need not be on disk before its caller has the answer: `note` takes it along with
the next commit that somebody waits for, at the latest a moment later, and holds on to it while the disk will
not take it.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from adapters.stream_position import StreamPosition
from gateway.core.record import Entry
from gateway.core.settle import Settlement
from gateway.edge import journal_reading
from gateway.edge.journal_blocks import RECORDS_MAX
from gateway.edge.journal_file import JournalFile
from gateway.edge.journal_reading import Row
from gateway.errors import Unavailable

JOURNALS_MAX: Final = 256
_BATCH_MAX: Final = RECORDS_MAX // 2
_NOTE_DELAY_S: Final = 0.02

log = structlog.get_logger(__name__)

Work = Callable[[], object]
Waiting = tuple[Entry, "asyncio.Future[None] | None"]


class Journal:
    """One worker's journal. `append` returns once the record is on disk; it raises `Unavailable`."""

    def __init__(self, folder: Path, *, sync: str, timeout_s: float, queue_max: int) -> None:
        self._folder = folder
        self._sync = sync
        self._timeout_s = timeout_s
        self._queue_max = queue_max
        self._queue: deque[Waiting] = deque()
        self._notes: deque[Waiting] = deque()
        self._deadlines: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._writing = False
        self._noting: asyncio.TimerHandle | None = None
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
        self._claim = -1

    def open(self) -> None:
        """Take a file that no other worker has. Raises `OSError` or `sqlite3.Error`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path, self._claim = _claim(self._folder)
        self._file = JournalFile(self.path, self._sync)
        self._last_block = self._file.open()
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def append(self, entry: Entry) -> None:
        """Have one record written. Raises `Unavailable` (journal_unavailable)."""
        if len(self._deadlines) >= self._queue_max:
            raise _unavailable("too many records wait for the disk")
        written: asyncio.Future[None] = self._loop.create_future()
        self._queue.append((entry, written))
        self._deadlines.append((self._loop.time() + self._timeout_s, written))
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadlines[0][0], self._expire)
        self._start_writing()
        await written

    def note(self, entry: Entry) -> None:
        """Have one record written soon; nobody waits for it. As many wait here as calls are under way.

        Only a disk that stays away makes more of them; what is too much then is said in the log instead.
        """
        if len(self._notes) >= self._queue_max:
            log.error("note_dropped", decision_id=entry.decision_id, hold_id=entry.hold_id)
            return
        self._notes.append((entry, None))
        if self._noting is None and not self._writing:
            self._write_soon()

    async def flush(self) -> None:
        """Return once everything noted so far was written, or could not be."""
        a_commit_under_way = 1
        for _ in range(a_commit_under_way + 1 + len(self._notes) // _BATCH_MAX):
            if self._queue or self._notes:
                self._start_writing()
            await asyncio.sleep(0)
            await self._do(lambda: None)

    async def complete_lost(self) -> None:
        """Complete the calls whose outcome an earlier process did not live to write. To be called once, and
        again where it raises `sqlite3.Error`."""
        decided = await asyncio.to_thread(journal_reading.without_outcome, self.path, self._last_block)
        await self._do(lambda: self._file.complete_lost(decided, datetime.now(UTC)))

    async def probe(self) -> None:
        """Prove that a commit reaches the disk. Raises `Unavailable`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._do(self._file.probe)
        except (TimeoutError, sqlite3.Error) as error:
            raise _unavailable(f"the journal cannot be written: {error or 'in time'}") from None

    async def unshipped(self, limit: int) -> list[Row]:
        """The oldest records that the event stream does not have yet."""
        return await asyncio.to_thread(journal_reading.unshipped, self.path, limit)

    async def mark_shipped(self, seq: int, position: StreamPosition) -> None:
        """All records up to this one are safe in the stream, which stands there. Raises `sqlite3.Error`."""
        await self._do(lambda: self._file.mark_shipped(seq, position))

    async def seen_position(self) -> StreamPosition | None:
        """Where the event stream stood at the last mark; None when nothing was ever shipped."""
        return await asyncio.to_thread(journal_reading.seen_position, self.path)

    async def ship_again(self, position: StreamPosition) -> None:
        """No record is safe in the stream, which stands there. Raises `sqlite3.Error`."""
        await self._do(lambda: self._file.ship_again(position))

    async def unsettled(self, limit: int, after: str = "") -> list[Settlement]:
        """What the treasury has yet to hear of holds whose calls are over, behind one of them."""
        return await asyncio.to_thread(journal_reading.unsettled, self.path, limit, after)

    async def settled(self, hold_id: str) -> None:
        """The treasury has heard. Raises `sqlite3.Error`."""
        await self._do(lambda: self._file.settled(hold_id))

    async def prune(self, before_ms: int, *, unshipped_too: bool) -> None:
        """Delete records written before; without `unshipped_too` only such as the event stream has. What is
        to go is looked for beside the calls, and goes in pieces so small that no call waits long for one.

        Raises `sqlite3.Error`.
        """
        looked = partial(journal_reading.prunable, self.path, before_ms, unshipped_too=unshipped_too)
        more = True
        while more:
            moments = await asyncio.to_thread(looked)
            pruned = partial(self._file.prune, moments, before_ms, unshipped_too=unshipped_too)
            more = False
            while await self._do(pruned):
                more = True

    async def aclose(self) -> None:
        """Write what waits, then close the file."""
        if self._notes:
            await self.flush()
        while self._writing or self._noting is not None:
            await self.flush()
        self._work.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._timer is not None:
            self._timer.cancel()
        self._file.close()
        os.close(self._claim)

    def _start_writing(self) -> None:
        if self._noting is not None:
            self._noting.cancel()
            self._noting = None
        if not self._writing:
            self._writing = True
            self._loop.call_soon(self._write)

    def _write_soon(self) -> None:
        self._noting = self._loop.call_later(_NOTE_DELAY_S, self._start_writing)

    def _write(self) -> None:
        """Hand what waits to the thread, and the notes with it; too much of either waits for the next."""
        waiting = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_MAX))]
        batch = [each for each in waiting if each[1] is not None and not each[1].done()]
        batch += [self._notes.popleft() for _ in range(min(len(self._notes), _BATCH_MAX))]
        self._work.put(lambda: self._commit(batch))

    def _commit(self, batch: list[Waiting]) -> None:
        """In the thread, which must outlive whatever breaks: write, then tell the loop."""
        failure: Exception | None = None
        try:
            if batch:
                self._file.write([entry for entry, _ in batch], time.time_ns() // 1_000_000)
        except Exception as error:  # noqa: BLE001 - told to who waits
            failure = error
            self._reopen()
        self._loop.call_soon_threadsafe(self._committed, batch, failure)

    def _reopen(self) -> None:
        try:
            self._file.close()
        except sqlite3.Error as error:
            log.warning("journal_close_failed", why=str(error))

    def _committed(self, batch: list[Waiting], failure: Exception | None) -> None:
        if failure is None:
            self._void_late(batch)
        for _, written in batch:
            if written is None or written.done():
                continue
            if failure is None:
                written.set_result(None)
            else:
                written.set_exception(_unavailable("the journal cannot be written"))
        self._forget_written()
        if failure is None:
            self._write_on()
        else:
            self._keep_notes(batch if _is_the_disks(failure) else [])
            log.error("journal_unavailable", why=str(failure) or repr(failure), records=len(batch))

    def _void_late(self, batch: list[Waiting]) -> None:
        """Who waited for these was refused meanwhile, so nothing is sent under their holds."""
        late = [entry for entry, written in batch if written is not None and written.done()]
        if late:
            voided: asyncio.Future[object] = self._loop.create_future()
            voided.add_done_callback(_said)
            self._work.put(
                lambda: self._report(lambda: self._file.never_sent(late, datetime.now(UTC)), voided)
            )

    def _write_on(self) -> None:
        """Write on for whoever waits; notes alone keep no disk busy, unless they are many."""
        if self._queue or len(self._notes) >= _BATCH_MAX:
            self._write()
            return
        self._writing = False
        if self._notes:
            self._write_soon()

    def _keep_notes(self, batch: list[Waiting]) -> None:
        """What was only noted is tried again with the next record, and not by itself.

        Where it was no fault of the disk, a note that cannot be written would fail every record after it, so
        it is not tried again.
        """
        self._notes.extendleft(waiting for waiting in reversed(batch) if waiting[1] is None)
        if self._queue:
            self._write()
        else:
            self._writing = False

    def _forget_written(self) -> None:
        while self._deadlines and self._deadlines[0][1].done():
            self._deadlines.popleft()

    def _expire(self) -> None:
        now_s = self._loop.time()
        while self._deadlines and (self._deadlines[0][0] <= now_s or self._deadlines[0][1].done()):
            written = self._deadlines.popleft()[1]
            if not written.done():
                written.set_exception(_unavailable("the disk did not take the record in time"))
        self._timer = self._loop.call_at(self._deadlines[0][0], self._expire) if self._deadlines else None

    async def _do(self, work: Work) -> object:
        """What the thread makes of the file between two commits. Raises what it raises."""
        done: asyncio.Future[object] = self._loop.create_future()
        self._work.put(lambda: self._report(work, done))
        return await done

    def _report(self, work: Work, done: "asyncio.Future[object]") -> None:
        failure: Exception | None = None
        answer: object = None
        try:
            answer = work()
        except Exception as error:  # noqa: BLE001 - told to who waits
            failure = error
            self._reopen()
        self._loop.call_soon_threadsafe(_resolve, done, answer, failure)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def journals(folder: Path) -> list[Path]:
    """The files of all workers."""
    return sorted(folder.glob("journal-*.sqlite"))


def _claim(folder: Path) -> tuple[Path, int]:
    """The first journal that no living worker has, and the descriptor that holds the claim."""
    for number in range(JOURNALS_MAX):
        descriptor = os.open(folder / f"journal-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return folder / f"journal-{number}.sqlite", descriptor
    raise OSError(f"all {JOURNALS_MAX} journals in {folder} are in use")


def _resolve(done: "asyncio.Future[object]", answer: object, failure: Exception | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(answer)
    else:
        done.set_exception(failure)


def _said(voided: "asyncio.Future[object]") -> None:
    """A hold that could not be noted as void is settled as unknown after the next start."""
    if (failure := voided.exception()) is not None:
        log.error("late_records_not_voided", why=str(failure))


def _is_the_disks(failure: Exception) -> bool:
    """Whether the file would not take a record, and not the record could not be written."""
    return isinstance(failure, sqlite3.OperationalError) or type(failure) is sqlite3.DatabaseError


def _unavailable(why: str) -> Unavailable:
    return Unavailable("journal_unavailable", why, retry_after_s=1)
