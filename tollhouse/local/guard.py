"""The bundles of OPA beside the policy's: who may ask it what (`system.authz`), with the tokens that say who
asks, and which events open a case (`compliance`).

Tokens come with the guard's bundle alone, by their SHA-256; nothing that OPA is asked can change them.
"""

import json
import shutil
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from tollhouse.local.files import write_whole
from tollhouse.registry import fingerprint

REGO = files("rego")


def write_bundle(name: str, folder: Path) -> Path:
    """The folder of a bundle that ships with us, written anew without its tests."""
    shutil.rmtree(folder, ignore_errors=True)
    with as_file(REGO / name) as source:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*_test.rego", "__pycache__"))
    return folder


def write_guard(folder: Path, tokens: Mapping[str, str]) -> Path:
    """The guard's folder. `tokens`: identity to token."""
    write_bundle("system", folder)
    known = folder / "system" / "tokens"
    known.mkdir(mode=0o700, parents=True)
    write_whole(known / "data.json", json.dumps({fingerprint(token): who for who, token in tokens.items()}))
    return folder
