"""The ready file follows what runs, and a disk that takes nothing is waited for. The test turns the clock."""

import errno
import json
from pathlib import Path

import pytest

from tollhouse.local.files import write_whole
from tollhouse.local.ready_file import RETRY_S, ReadyFile


class Disk:
    """A disk that is full as long as the test says so."""

    full = False
    asked = 0
    now_s = 0.0

    def write(self, path: Path, text: str) -> None:
        self.asked += 1
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, text)


@pytest.mark.requirement("OPS-01")
def test_a_full_disk_keeps_the_old_file_is_told_once_and_tried_again(tmp_path: Path) -> None:
    disk, told, path = Disk(), list[str](), tmp_path / "ready.json"
    file = ReadyFile(path, told.append, disk.write, lambda: disk.now_s)
    file.keep({"pid": 1})
    disk.full = True
    for _ in range(3):
        file.keep({"pid": 2})
        file.keep({"pid": 2})
        disk.now_s += RETRY_S
    assert json.loads(path.read_text()) == {"pid": 1}
    assert told == [f"{path} cannot be written (No space left on device): it is tried again"]
    assert disk.asked == 1 + 3
    disk.full = False
    file.keep({"pid": 2})
    assert json.loads(path.read_text()) == {"pid": 2}


def test_what_the_file_says_already_is_not_written_again(tmp_path: Path) -> None:
    disk = Disk()
    file = ReadyFile(tmp_path / "ready.json", [].append, disk.write)
    file.keep({"pid": 1})
    file.keep({"pid": 1})
    assert disk.asked == 1


def test_it_is_taken_away_whether_it_is_there_or_not(tmp_path: Path) -> None:
    file = ReadyFile(tmp_path / "ready.json", [].append)
    file.keep({"pid": 1})
    file.remove()
    file.remove()
    assert list(tmp_path.iterdir()) == []
