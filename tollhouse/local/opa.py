"""Open Policy Agent over a folder of bundles, on a Unix socket and on a port of loopback.

Every request carries a bearer token, and the package `system.authz` of the bundles says what it opens; the
socket can be opened by our own user alone. Readiness is OPA's own `/health?bundles`.
"""

import http.client
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tollhouse.local.child import Child
from tollhouse.local.ports import LOOPBACK

GOGC = "800"
GOMEMLIMIT = "512MiB"
SHUTDOWN_GRACE_S = 2
PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Opa:
    """One OPA.

    bundles: folders or archives, loaded as bundles. probe_token: a token that may ask for health; empty when
    `authorization` is off, which only tests of bare policies use.
    """

    binary: Path
    socket: Path
    log: Path
    port: int
    bundles: Sequence[Path]
    probe_token: str = ""
    authorization: bool = True

    @property
    def url(self) -> str:
        """Its address on TCP."""
        return f"http://{LOOPBACK}:{self.port}"

    def prepare(self) -> Child:
        """The child that serves the bundles (not started yet)."""
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        guard = ["--authentication=token", "--authorization=basic"] if self.authorization else []
        return Child(
            name="opa",
            command=[
                str(self.binary),
                "run",
                "--server",
                f"--addr=unix://{self.socket}",
                f"--addr={LOOPBACK}:{self.port}",
                "--unix-socket-perm=600",
                "--log-level=error",
                "--skip-version-check",
                f"--shutdown-grace-period={SHUTDOWN_GRACE_S}",
                *guard,
                "--bundle",
                *map(str, self.bundles),
            ],
            log=self.log,
            environment={
                "PATH": "/usr/bin:/bin",
                "HOME": os.environ.get("HOME", "/"),
                "GOGC": GOGC,
                "GOMEMLIMIT": GOMEMLIMIT,
            },
        )

    def is_ready(self) -> bool:
        """Ask the server itself, over both ways in."""
        over_tcp = http.client.HTTPConnection(LOOPBACK, self.port, timeout=PROBE_TIMEOUT_S)
        return self._healthy(_UnixConnection(self.socket)) and self._healthy(over_tcp)

    def _healthy(self, connection: http.client.HTTPConnection) -> bool:
        headers = {"Authorization": f"Bearer {self.probe_token}"} if self.probe_token else {}
        try:
            connection.request("GET", "/health?bundles", headers=headers)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PROBE_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PROBE_TIMEOUT_S)
        self.sock.connect(str(self._path))
