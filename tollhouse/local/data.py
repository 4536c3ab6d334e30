"""The data folder of the local stack: where each thing lives, and who holds it.

A folder of ours is known by its marker. A new or an empty one becomes ours, and so does one in which a start
that was broken off left nothing but empty folders; any other is refused before a thing in it is touched,
since it is somebody's, or was named by mistake. What we make is 0700; the mode of what we found is its
owner's affair.

One `tollhouse up` at a time: it holds `lock` by flock, which the kernel lets go when the process ends,
however it ends; the pid inside is for people.
"""

import errno
import fcntl
import os
import shutil
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tollhouse.local.child import StartFailed

FREE_BYTES_MIN = 256_000_000
MARKER = ".tollhouse"
STACKS_OWN = frozenset({"secrets.json", "registry.json"})
"""What a folder of ours has had since before there was a marker."""
STACKS_FOLDERS = frozenset({"credentials", "gateway", "logs", "nats", "opa", "policy", "postgres"})
FILE_SYSTEMS_OWN = frozenset({"lost+found"})
SHOWN_MAX = 3
LOCK = "lock"
ASKING_S = 0.2
PAUSE_S = 0.01


@dataclass(frozen=True)
class DataFolder:
    """Paths below one root."""

    root: Path

    @classmethod
    def open(cls, root: Path, free_bytes_min: int = FREE_BYTES_MIN) -> Self:
        """Make the folder, or check that it can be used; StartFailed says what is wrong with it."""
        root = root.expanduser().absolute()
        try:
            _make(root)
            _look_through(root)
            (root / MARKER).write_bytes(b"")
        except OSError as error:
            raise _unusable(root, error.strerror or str(error)) from error
        _require_room(root, root, free_bytes_min)
        return cls(root)

    @classmethod
    def look(cls, root: Path, free_bytes_min: int = FREE_BYTES_MIN) -> tuple[Self, Path | None]:
        """The folder that `open` would give, and the one in which it would make it where it is not there.

        Makes and changes nothing; raises StartFailed as `open` would.
        """
        root = root.expanduser().absolute()
        try:
            within = None if os.path.lexists(root) else next(path for path in root.parents if path.exists())
            found = within or root
            if not found.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if within is None:
                _look_through(root)
            elif not os.access(within, os.W_OK | os.X_OK):
                raise _unusable(root, f"it is not there, and {within} is read-only")
        except OSError as error:
            raise _unusable(root, error.strerror or str(error)) from error
        _require_room(root, found, free_bytes_min)
        return cls(root), within

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def folder(self, name: str) -> Path:
        """A folder of this name, made if need be, 0700."""
        path = self.root / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def log(self, name: str) -> Path:
        """The log file of one server."""
        return self.folder("logs") / f"{name}.log"


class Lock:
    """Held for as long as the block lasts. A lock that a dead process left behind is no obstacle."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _gets(self._file, fcntl.LOCK_EX, ASKING_S):
            holder = self._path.read_text().strip() or "unknown"
            os.close(self._file)
            raise StartFailed(
                f"The data folder {self._path.parent} is in use by another tollhouse up, pid {holder}.\n"
                f"Stop it (kill {holder}), or name another folder with --data DIR."
            )
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)


def is_held(path: Path) -> bool:
    """Whether a living process has this lock."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _gets(handle, fcntl.LOCK_SH, 0)
    finally:
        os.close(handle)


def _gets(handle: int, kind: int, within_s: float) -> bool:
    """Whether the lock could be had. Whoever only asks whether it is held has it for a moment."""
    end = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(PAUSE_S)
        else:
            return True


def _make(root: Path) -> None:
    """The folder, 0700 when it was not there; whatever the umask leaves out, its owner may use it."""
    try:
        root.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
    else:
        root.chmod(0o700)


def _look_through(root: Path) -> None:
    """Raise StartFailed when this is not ours to fill, or cannot be filled; touches nothing."""
    if not (root.stat().st_mode & stat.S_IWUSR and os.access(root, os.W_OK | os.X_OK)):
        raise _unusable(root, "it is read-only")
    found = {path.name for path in root.iterdir()} - FILE_SYSTEMS_OWN
    if MARKER in found or found >= STACKS_OWN:
        return
    full = sorted(name for name in found if not _is_left_over(root / name))
    if full and found <= STACKS_FOLDERS:
        left = " and ".join(str(root / name) for name in full)
        raise _unusable(
            root, f"a start that was broken off may have left {left}; remove it if nothing in it is yours"
        )
    if full:
        some = ", ".join(sorted(found)[:SHOWN_MAX])
        raise _unusable(root, f"it is not empty and not a stack's (in it: {some})")


def _require_room(root: Path, found: Path, free_bytes_min: int) -> None:
    if (free := shutil.disk_usage(found).free) < free_bytes_min:
        raise StartFailed(
            f"The disk of the data folder {root} is full: {free // 1_000_000} MB are free, "
            f"{free_bytes_min // 1_000_000} MB are needed.\n"
            "Free some, or name another folder with --data DIR."
        )


def _is_left_over(path: Path) -> bool:
    """Whether this is an empty folder, of a name that a stack gives."""
    own = path.name in STACKS_FOLDERS and path.is_dir() and not path.is_symlink()
    return own and not any(path.iterdir())


def _unusable(root: Path, why: str) -> StartFailed:
    return StartFailed(
        f"The data folder {root} cannot be used: {why}.\n"
        "Name a new or an empty one with --data DIR (or TOLLHOUSE_DATA), which you may write to."
    )
