"""Who is told what: the settings of each service, and the files of secrets that they name.

Every secret is one file (0600) in `credentials/`, written anew from `secrets.json` at each start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.edge.warrants import generate, public_entry
from tollhouse.config import Config
from tollhouse.local.data import DataFolder
from tollhouse.local.files import write_whole
from tollhouse.local.opa import Opa
from tollhouse.local.ports import LOOPBACK
from tollhouse.local.postgres import Postgres
from tollhouse.local.secrets import Secrets
from tollhouse.registry import GATEWAYS, OPERATORS, REGISTRY, fingerprint

GATEWAY_NAME = "gateway"
DATABASE = "tollhouse"
WEBHOOKS = "webhooks.json"


@dataclass(frozen=True)
class Wiring:
    """What the services' settings are made of."""

    config: Config
    data: DataFolder
    secrets: Secrets
    ports: Mapping[str, int]
    postgres: Postgres
    opa: Opa

    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings of every service by their own names: what the file sets, and what the stack knows."""
        wired = {
            "gateway": self._gateway(),
            "treasury": self._treasury(),
            "control": self._control(),
            "relay": self._relay(),
        }
        return {
            name: {**self.config.settings[name], **own, **self._address(name)} for name, own in wired.items()
        }

    def _address(self, name: str) -> dict[str, Any]:
        return {"host": LOOPBACK, "port": self.ports[name]} if name in self.ports else {}

    def role_dsn(self, role: str) -> str:
        """The connection string of one PostgreSQL role."""
        return self.postgres.dsn(role, self.secrets.password(role), DATABASE)

    def pinned_gateway(self) -> dict[str, Any]:
        """Our gateway by its token, as the treasury pins it; the signing key is made at the first start."""
        key = self._signing_key()
        if not key.exists():
            generate(key)
        token = fingerprint(self.secrets.token("treasury.gateway"))
        return {token: {"name": GATEWAY_NAME, **public_entry(key)}}

    def _signing_key(self) -> Path:
        return self.data.folder("gateway") / "signing_key.jwk"

    def _gateway(self) -> dict[str, Any]:
        return {
            "name": GATEWAY_NAME,
            "registry_file": self.data / REGISTRY,
            "journal_dir": self.data.folder("gateway"),
            "signing_key_file": self._signing_key(),
            "opa_url": self.opa.url,
            "opa_socket": self.opa.socket,
            "opa_token_file": self._credential("gateway.opa", self.secrets.token("opa.gateway")),
            "treasury_url": f"http://{LOOPBACK}:{self.ports['treasury']}",
            "treasury_token_file": self._credential(
                "gateway.treasury", self.secrets.token("treasury.gateway")
            ),
            **self._bus("gateway"),
        }

    def _treasury(self) -> dict[str, Any]:
        return {
            "postgres_dsn_file": self._credential("treasury.dsn", self.role_dsn("tollhouse_treasury")),
            "gateways_file": self.data / GATEWAYS,
            "operators_file": self.data / OPERATORS,
            "webhooks_file": self.data / WEBHOOKS,
        }

    def _control(self) -> dict[str, Any]:
        return {
            "postgres_dsn_file": self._credential("control.dsn", self.role_dsn("tollhouse_control")),
            "operators_file": self.data / OPERATORS,
            "treasury_url": f"http://{LOOPBACK}:{self.ports['treasury']}",
            "opa_url": self.opa.url,
            "opa_token_file": self._credential("control.opa", self.secrets.token("opa.control")),
            **self._bus("control"),
        }

    def _relay(self) -> dict[str, Any]:
        return {
            "postgres_dsn_file": self._credential("relay.dsn", self.role_dsn("tollhouse_relay")),
            **self._bus("relay"),
        }

    def _bus(self, user: str) -> dict[str, Any]:
        return {
            "nats_url": f"nats://{LOOPBACK}:{self.ports['nats']}",
            "nats_user": user,
            "nats_password_file": self._credential(f"{user}.nats", self.secrets.bus_password(user)),
        }

    def _credential(self, name: str, text: str) -> Path:
        path = self.data.folder("credentials") / name
        write_whole(path, text)
        return path
