"""The secrets of one data folder: made at the first start, kept for all others.

They live in `secrets.json` (0600). What a service needs of them is laid out in files of its own (0600), since
its settings name secrets by path.
"""

import json
import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tollhouse.local.child import StartFailed
from tollhouse.local.files import write_whole

KEY_PREFIX = "toll_"
SECRET_BYTES = 24


def new_secret() -> str:
    """A random password, safe in URLs and files."""
    return secrets.token_urlsafe(SECRET_BYTES)


def new_key() -> str:
    """A random API key."""
    return KEY_PREFIX + secrets.token_hex(SECRET_BYTES)


class Secrets(BaseModel):
    """What was made up: `passwords` by PostgreSQL role, `bus` by NATS user, `tokens` by purpose."""

    model_config = ConfigDict(extra="forbid")

    superuser: str = Field(default_factory=new_secret)
    passwords: dict[str, str] = Field(default_factory=dict)
    bus: dict[str, str] = Field(default_factory=dict)
    tokens: dict[str, str] = Field(default_factory=dict)
    agents: dict[str, str] = Field(default_factory=dict)
    operators: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Secrets":
        """The folder's secrets, or fresh ones when there are none yet."""
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise StartFailed(
                f"{path} cannot be read: {error.error_count()} mistakes in it.\n"
                "Put back the file that the stack wrote; without it neither keys nor ledger can be opened."
            ) from None

    def save(self, path: Path) -> None:
        """Write all of it in one step, for our own eyes."""
        write_whole(path, json.dumps(self.model_dump(), indent=2))

    def password(self, role: str) -> str:
        """The password of a PostgreSQL role."""
        return self.passwords.setdefault(role, new_secret())

    def bus_password(self, user: str) -> str:
        """The password of a NATS user."""
        return self.bus.setdefault(user, new_secret())

    def token(self, purpose: str) -> str:
        """The bearer token that one service shows another."""
        return self.tokens.setdefault(purpose, new_secret())
