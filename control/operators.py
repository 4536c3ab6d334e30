"""Who may ask: operators, known by the SHA-256 of their key, each for one tenant.

The file holds `{"<sha256>": {"id": "olga", "role": "executive", "tenant": "acme"}}`; no key can be read
from it. Agents' keys are not in it and open nothing here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from control.errors import Refusal

KEY_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class Operator:
    """A person or a program of the operators, and the one tenant whose things they see."""

    id: str
    role: str
    tenant: str


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1)
    role: str
    tenant: str = Field(min_length=1)


_FILE = TypeAdapter(dict[str, _Entry])


class Operators:
    """The operators of one installation."""

    def __init__(self, by_key_sha256: Mapping[str, Operator]) -> None:
        self._by_key_sha256 = dict(by_key_sha256)

    @classmethod
    def read(cls, path: Path) -> "Operators":
        """From the file; raises `ValueError` where it is not of the form above."""
        entries = _FILE.validate_json(path.read_bytes())
        return cls(
            {digest: Operator(entry.id, entry.role, entry.tenant) for digest, entry in entries.items()}
        )

    def has(self, tenant: str, operator: str) -> bool:
        """Whether the tenant has an operator of this id."""
        return any(known.tenant == tenant and known.id == operator for known in self._by_key_sha256.values())

    def identify(self, authorization: str | None, api_key: str | None) -> Operator:
        """The operator of `Authorization: Bearer KEY` or `X-API-Key: KEY`, or a `Refusal`."""
        key = api_key
        if authorization is not None:
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise Refusal("token_invalid", "a bearer token is wanted")
        if not key:
            raise Refusal("token_missing", "who are you? Send Authorization: Bearer with an operator's key")
        if len(key) > KEY_CHARS_MAX:
            raise Refusal("token_invalid", "no operator has this key")
        # A digest of a secret is looked up, so the time that takes tells nothing about any key.
        operator = self._by_key_sha256.get(hashlib.sha256(key.strip().encode()).hexdigest())
        if operator is None:
            raise Refusal("token_invalid", "no operator has this key")
        return operator
