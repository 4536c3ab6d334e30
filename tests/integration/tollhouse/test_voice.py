"""What is said on the streams of a process, also when they take nothing."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tollhouse.local.outlet import outlet

FULL = Path("/dev/full")
SPEAK = (
    "import sys; from tollhouse.local.voice import voice\n"
    "speak = voice(as_json=sys.argv[1] == 'json')\n"
    "with speak.progress() as tell: tell('starting')\n"
    "speak.restarted('opa', 9); speak.answers('opa', 9); speak.exited('nats', -9)\n"
    "speak.cannot_start('opa', 'No space'); speak.warn('x')\n"
    "speak.failed('y')\n"
    "import os; os._exit(0)"
)


def speak(form: str, **streams: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", SPEAK, form]
    return subprocess.run(command, check=False, text=True, timeout=30, **streams)  # type: ignore[call-overload]


@pytest.mark.requirement("OPS-01")
def test_a_program_is_told_in_lines_and_a_person_in_words() -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    told = speak("json", **pipes)
    assert told.stdout == '{"restarted": "opa", "pid": 9}\n{"exited": "nats", "code": -9}\n'
    assert "warning: opa cannot be started again (No space): it is tried until it can\n" in told.stderr
    words = speak("words", **pipes).stdout
    assert words.splitlines() == [
        "opa died and was started again, pid 9",
        "opa runs again, pid 9",
        "nats ended with code -9",
    ]


@pytest.mark.requirement("OPS-01")
@pytest.mark.skipif(not FULL.exists(), reason="there is no device here that is always full")
@pytest.mark.parametrize("form", ["json", "words"])
def test_a_log_on_a_full_disk_ends_nothing(form: str) -> None:
    with FULL.open("w") as full:
        assert speak(form, stdout=full, stderr=full).returncode == 0


def test_an_outlet_is_as_good_as_its_stream() -> None:
    stream = io.StringIO()
    same = outlet(stream)
    assert same.write("said") == 4
    same.flush()
    assert (stream.getvalue(), same.isatty()) == ("said", False)
