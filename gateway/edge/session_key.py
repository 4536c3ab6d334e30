"""The key that seals MCP session ids: made once, kept beside the journals, shared by the workers."""

import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Final

_NAME: Final = "session.key"
_KEY_BYTES: Final = 32


@lru_cache(maxsize=8)
def session_key(folder: Path) -> bytes:
    """The key, made at the first call of the first worker. Raises `OSError`, `ValueError` for a broken one.

    Written aside and linked into place, so that every worker finds a whole key and all find the same.
    """
    path = folder / _NAME
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} is not a key of {_KEY_BYTES} bytes; delete it to have a new one made")
    return key


def _make(path: Path) -> None:
    aside = path.with_name(f"{_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    except FileExistsError:
        return
    finally:
        aside.unlink()
