"""PostgreSQL's own tools to dump and restore one schema: those of its wheel, else those on the PATH.

The password travels in the environment of the tool, never in its command line, which others can read.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from tollhouse.local.child import StartFailed
from tollhouse.local.postgres import binaries

WITHIN_S: Final = 3_600


class DumpFailed(Exception):
    """A tool is not there, or ended with an error; the message is for a person."""


class FileUnusable(DumpFailed):
    """The file that was named for the dump is there already, or cannot be made."""


def dump(dsn: str, schema: str, file: Path) -> None:
    """Write the schema with its data to `file` (0600), whole or not at all; `DumpFailed` says why."""
    draft = file.with_name(f".{file.name}.draft")
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        os.close(descriptor)
        _run("pg_dump", dsn, "--format=custom", f"--schema={schema}", f"--file={draft}")
        os.link(draft, file)
    except FileExistsError:
        raise FileUnusable(f"{file} is there already; it was left as it is.") from None
    except OSError as error:
        raise FileUnusable(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)


def restore(dsn: str, file: Path) -> None:
    """Bring back what was dumped, all in one database transaction; raises `DumpFailed`."""
    _run(
        "pg_restore", dsn, "--single-transaction", "--exit-on-error", f"--dbname={_database(dsn)}", str(file)
    )


def _run(tool: str, dsn: str, *arguments: str) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **_connection(dsn)}
    command = [_find(tool), "--no-password", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=WITHIN_S, env=environment)
    except subprocess.TimeoutExpired:
        raise DumpFailed(f"{tool} did not end within {WITHIN_S} s.") from None
    if done.returncode:
        raise DumpFailed(f"{tool} failed: {done.stderr.decode(errors='replace').strip()}")


def _find(tool: str) -> str:
    try:
        own = binaries() / tool
    except StartFailed:
        own = None
    found = str(own) if own is not None and own.exists() else shutil.which(tool)
    if found is None:
        raise DumpFailed(
            f"{tool} was not found, neither in the package of PostgreSQL's programs nor on the PATH. "
            "Install PostgreSQL's client programs of the server's version."
        )
    return found


def _database(dsn: str) -> str:
    return unquote(urlsplit(dsn).path.lstrip("/"))


def _connection(dsn: str) -> dict[str, str]:
    """The variables that PostgreSQL's tools read."""
    parts = urlsplit(dsn)
    known = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port) if parts.port else None,
        "PGUSER": parts.username and unquote(parts.username),
        "PGPASSWORD": parts.password and unquote(parts.password),
        "PGDATABASE": _database(dsn),
    }
    return {name: value for name, value in known.items() if value}
