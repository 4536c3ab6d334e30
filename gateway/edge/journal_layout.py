"""Whether a file can be a journal of this version: asked before a record is read or written.

A file of another layout would be read as empty, and its records overlooked. Such a file, and what is no
SQLite database at all, is never touched, nor is its -wal: what it holds and was not shipped is nowhere else.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

LAYOUT: Final = 2
WHAT_TO_DO: Final = (
    "move it and its -wal and -shm, if it has them, out of the folder and start again"
    " (keep it: records in it that were not shipped yet are lost otherwise)"
)
_FIRST_PAGE_BYTES: Final = 4_096
_NO_DATABASE: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


def require_layout(path: Path) -> None:
    """Raises `sqlite3.DatabaseError` that names the file, what is wrong with it and what to do.

    Asked of a session that may only read: one that may write moves what is in the -wal into the file when it
    ends, and takes back what was left half done when it begins.
    """
    asked = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(asked, uri=True)) as connection:
        try:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
                _require_new(path)
                return
            if error.sqlite_errorcode not in _NO_DATABASE:
                raise
            raise _not_ours(path, f"is no SQLite database, or a damaged one ({error})") from None
    if layout != LAYOUT and tables:
        raise _not_ours(path, f"has the layout of another version ({layout}, this one has {LAYOUT})")


def why_unusable(path: Path) -> str | None:
    """The same of a file that is there, in words; None where it can be used, or cannot be asked now."""
    try:
        require_layout(path)
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError as error:
        return str(error)
    return None


def _require_new(path: Path) -> None:
    """Ours has a -wal from its second page on. A maker that was killed before left nothing to lose."""
    if path.stat().st_size > _FIRST_PAGE_BYTES:
        raise _not_ours(path, "was left in the middle of a change by a program that is not this one")


def _not_ours(path: Path, why: str) -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError(f"The journal {path} {why}: {WHAT_TO_DO}.")
