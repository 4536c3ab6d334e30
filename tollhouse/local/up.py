"""`tollhouse up`: start everything, say so, keep it running, and leave nothing behind."""

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tollhouse.config import Config, read_config
from tollhouse.local.child import StartFailed
from tollhouse.local.data import DataFolder, Lock
from tollhouse.local.opa_binary import OpaMissing, obtain_opa
from tollhouse.local.ready_file import READY_FILE, ReadyFile
from tollhouse.local.stack import Stack
from tollhouse.local.supervisor import StopAsked, Supervisor
from tollhouse.local.voice import Voice, voice
from tollhouse.problems import DocumentError

EXIT_FAILED = 1
EXIT_MISTAKEN = 2


def run(config_path: Path, data: Path, *, as_json: bool, restart: bool) -> int:
    """Run the stack until SIGTERM or SIGINT; the exit code.

    0: it was asked to stop and did. 1: it could not start. 2: the configuration is not right.
    """
    speak = voice(as_json=as_json)
    try:
        with _stop_signals():
            config = read_config(config_path)
            _live(config, DataFolder.open(data), speak, restart=restart)
    except StopAsked:
        return 0
    except DocumentError as error:
        speak.failed(str(error))
        return EXIT_MISTAKEN
    except (StartFailed, OpaMissing) as error:
        speak.failed(str(error))
        return EXIT_FAILED
    except OSError as error:
        speak.failed(_told(error, data))
        return EXIT_FAILED
    return 0


def _live(config: Config, data: DataFolder, speak: Voice, *, restart: bool) -> None:
    """From the lock to the last server's end."""
    with Lock(data / "lock"):
        ready_file = ReadyFile(data / READY_FILE, speak.warn)
        ready_file.remove()
        with speak.progress() as progress:
            opa = obtain_opa(progress)
            stack = Stack.assemble(config, data, opa)
            for warning in stack.warnings:
                speak.warn(warning)
        try:
            with speak.progress() as progress:
                stack.start(progress)
            ready_file.keep(stack.ready())
            speak.ready(stack.ready())
            Supervisor(
                stack.members,
                speak,
                restart=restart,
                # Whoever reads the file finds the processes of now.
                meanwhile=lambda: ready_file.keep(stack.ready()),
            ).watch()
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            ready_file.remove()
            with speak.progress() as progress:
                stack.stop(progress)


@contextmanager
def _stop_signals() -> Iterator[None]:
    """SIGTERM and SIGINT become StopAsked, wherever we are."""
    before = {number: signal.signal(number, _ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ask(_number: int, _frame: FrameType | None) -> None:
    raise StopAsked


def _told(error: OSError, data: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {error.filename or data} is full. Free some space, or name another --data DIR."
    if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
        return f"{error.filename or data} cannot be written: {error.strerror}. Name another --data DIR."
    return f"The system refused: {error}"
