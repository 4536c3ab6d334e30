"""A log that cannot be written fails nobody, and says afterwards what is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.log_sink import LogSink

pytestmark = pytest.mark.requirement("OPS-03")
SCRIPT = """
import logging
from adapters.telemetry import configure_logging, logger
configure_logging("gateway", "info")
for number in range(1_000):
    logger("journal").error("journal_unavailable", number=number)
    logging.getLogger("uvicorn.error").error("broke off")
print("goes on")
"""


class Disk:
    """A file on a disk that can be full."""

    def __init__(self) -> None:
        self.written = b""
        self.full = False

    def write(self, data: bytes, /) -> int:
        self._want_room()
        self.written += data
        return len(data)

    def flush(self) -> None:
        self._want_room()

    def _want_room(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


def test_who_logs_onto_a_full_disk_goes_on() -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=full, check=False, timeout=60
        )
    assert run.stdout == b"goes on\n"


def test_what_was_lost_is_told_as_soon_as_there_is_room() -> None:
    disk = Disk()
    sink = LogSink(disk, "gateway")
    disk.full = True
    for line in (b"1\n", "2\n"):
        assert sink.write(line) == len(line)
        sink.flush()
    disk.full = False
    sink.write("3\n")
    sink.write(b"4\n")
    told, *rest = disk.written.splitlines()
    assert json.loads(told) == {
        "event": "log_lines_lost",
        "lines": 2,
        "level": "warning",
        "service": "gateway",
    }
    assert rest == [b"3", b"4"]
