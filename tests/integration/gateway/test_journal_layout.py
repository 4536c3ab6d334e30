"""A journal that is none of ours keeps every byte, though whoever wrote it was killed."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.edge import journal_reading
from gateway.edge.journal_file import JournalFile
from gateway.edge.journal_layout import LAYOUT, why_unusable
from schemas.ids import new_id
from tests.integration.gateway.journalled import entry

pytestmark = pytest.mark.requirement("AUD-01")

WRITER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = " + sys.argv[3])
connection.execute("PRAGMA cache_size = 1")
connection.execute("PRAGMA wal_autocheckpoint = 0")
if sys.argv[3] == "DELETE":
    connection.execute("BEGIN")
connection.execute("PRAGMA user_version = " + sys.argv[2])
connection.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, record BLOB)")
for _ in range(100):
    connection.execute("INSERT INTO records (record) VALUES (zeroblob(3000))")
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_killed_writer(path: Path, layout: int, mode: str = "WAL") -> dict[str, bytes]:
    """The files of a database of that layout, by name; `DELETE` dies within its transaction."""
    command = [sys.executable, "-c", WRITER, str(path), str(layout), mode]
    assert subprocess.run(command, check=False, timeout=60).returncode == -9
    return contents(path.parent)


def contents(folder: Path) -> dict[str, bytes]:
    """All but the -shm, which SQLite makes anew from the others."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if not each.name.endswith("-shm")}


@pytest.mark.parametrize("with_shm", [True, False])
def test_a_foreign_journal_keeps_its_wal(tmp_path: Path, with_shm: bool) -> None:
    path = tmp_path / "j.sqlite"
    before = left_by_a_killed_writer(path, 1)
    assert len(before["j.sqlite-wal"]) > 300_000
    if not with_shm:
        (tmp_path / "j.sqlite-shm").unlink()
    assert "has the layout of another version (1," in (why_unusable(path) or "")
    assert contents(tmp_path) == before
    with pytest.raises(sqlite3.DatabaseError, match=r"has the layout of another version \(1, .* move it"):
        JournalFile(path, "os").open()
    assert contents(tmp_path) == before


def test_what_another_program_left_half_done_is_not_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    before = left_by_a_killed_writer(path, 1, "DELETE")
    assert set(before) == {"j.sqlite", "j.sqlite-journal"}
    with pytest.raises(sqlite3.DatabaseError, match="was left in the middle of a change"):
        JournalFile(path, "os").open()
    assert "was left in the middle of a change" in (why_unusable(path) or "")
    assert contents(tmp_path) == before


def test_a_journal_whose_maker_was_killed_at_its_first_page_is_made_again(tmp_path: Path) -> None:
    """Until it has its -wal, a new file is written with a rollback journal, of one page."""
    path = tmp_path / "j.sqlite"
    before = left_by_a_killed_writer(tmp_path / "j.sqlite", LAYOUT, "DELETE")
    path.write_bytes(before["j.sqlite"][:4096])
    assert why_unusable(path) is None
    file = JournalFile(path, "os")
    file.open()
    file.write([entry(new_id())], 1)
    assert len(journal_reading.unshipped(path, 9)) == 1
    file.close()


def test_a_journal_of_ours_goes_on_from_its_wal(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    first = JournalFile(path, "os")
    first.open()
    first.write([entry(new_id())], 1)
    left = tmp_path / "left"
    left.mkdir()
    for name in ("j.sqlite", "j.sqlite-wal"):
        (left / name).write_bytes((tmp_path / name).read_bytes())
    first.close()
    again = JournalFile(left / "j.sqlite", "os")
    again.open()
    assert len(journal_reading.unshipped(left / "j.sqlite", 9)) == 1
    again.close()
