"""A revision: the digest of all that OPA loads, so that a decision names exactly what judged it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.ids import digest

ROOT: Final = "gateway"
MANIFEST: Final = ".manifest"

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Revision:
    """Which policy a bundle holds: the version that its author gave it, and the digest of all in it."""

    version: str
    revision: str


class NotABundle(Exception):
    """The folder cannot be loaded as a bundle; the message says why."""


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents, in the order of names."""
    return digest({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})
