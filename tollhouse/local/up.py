"""`tollhouse up`: start everything, say so, keep it running, and leave nothing behind."""

import errno
from contextlib import suppress
from pathlib import Path

from tollhouse.config import Config, read_config
from tollhouse.local import journals
from tollhouse.local.child import StartFailed
from tollhouse.local.data import LOCK, DataFolder, Lock
from tollhouse.local.opa_binary import OpaMissing, obtain_opa
from tollhouse.local.ready_file import READY_FILE, ReadyFile
from tollhouse.local.stack import Stack
from tollhouse.local.stop import Stop, StopAsked, stop_signals
from tollhouse.local.supervisor import Supervisor
from tollhouse.local.voice import Voice, voice
from tollhouse.problems import DocumentError

EXIT_FAILED = 1
EXIT_MISTAKEN = 2


def run(config_path: Path, data: Path, *, as_json: bool, restart: bool) -> int:
    """Run the stack until SIGTERM, SIGINT or SIGHUP; the exit code.

    0: it was up, was asked to stop and did. 1: it could not start. 2: the configuration is not right.
    Asked to stop before it was up, it raises StopAsked with the code of a process that the signal ended.
    """
    speak = voice(as_json=as_json)
    try:
        with stop_signals() as stop:
            config = read_config(config_path)
            _live(config, DataFolder.open(data), speak, stop, restart=restart)
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


def _live(config: Config, data: DataFolder, speak: Voice, stop: Stop, *, restart: bool) -> None:
    """From the lock to the last server's end."""
    with Lock(data / LOCK):
        ready_file = ReadyFile(data / READY_FILE, speak.warn)
        ready_file.remove()
        journals.require_usable(data.root)
        with speak.progress() as progress:
            opa = obtain_opa(progress)
            stack = Stack.assemble(config, data, opa)
            for warning in stack.warnings:
                speak.warn(warning)
        try:
            with speak.progress() as progress:
                stack.start(progress)
            stop.watched()
            with suppress(StopAsked):
                _watch(stack, ready_file, speak, stop, restart=restart)
        finally:
            stop.heard()
            ready_file.remove()
            with speak.progress() as progress:
                stack.stop(progress)


def _watch(stack: Stack, ready_file: ReadyFile, speak: Voice, stop: Stop, *, restart: bool) -> None:
    """Say that everything answers, and keep it so. Whoever reads the file finds the processes of now."""
    if stop.asked():
        return

    def keep() -> None:
        ready_file.keep(stack.ready())

    keep()
    speak.ready(stack.ready())
    Supervisor(stack.members, speak, restart=restart, meanwhile=keep).watch(stop.asked)


def _told(error: OSError, data: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {error.filename or data} is full. Free some space, or name another --data DIR."
    if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
        return f"{error.filename or data} cannot be written: {error.strerror}. Name another --data DIR."
    return f"The system refused: {error}"
