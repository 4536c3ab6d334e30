"""Faults that nobody can bring about from outside of a process: a disk that does not sync, a wrong clock."""

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("faulty.c")


@dataclass(frozen=True)
class Faults:
    """What is wrong in the processes that were started with `environment`; at first nothing is."""

    library: Path
    file: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LD_PRELOAD": str(self.library), "DRILL_FAULTS": str(self.file)}

    def say(self, *, sync_fails: bool = False, clock_off_s: int = 0) -> None:
        """From now on this is wrong and nothing else. The file changes in place: it is mapped."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, struct.pack("=qq", sync_fails, clock_off_s), 0)
        finally:
            os.close(descriptor)


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """Nothing is wrong yet. Needs a C compiler; where there is none the test is left out."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler is here to make a disk that fails")
    made = Faults(tmp_path / "faulty.so", tmp_path / "faults")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", str(SOURCE), "-o", str(made.library)]
    subprocess.run([*command, "-ldl"], check=True)
    made.say()
    return made
