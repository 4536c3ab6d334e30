"""The second bundle of OPA: who may ask it what (`system.authz`), and the tokens that say who asks.

Tokens come with this bundle alone, by their SHA-256; nothing that OPA is asked can change them.
"""

import json
import shutil
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from tollhouse.local.files import write_whole
from tollhouse.registry import fingerprint

SOURCE = files("rego") / "system"


def write_guard(folder: Path, tokens: Mapping[str, str]) -> Path:
    """The bundle's folder, written anew. `tokens`: identity to token."""
    shutil.rmtree(folder, ignore_errors=True)
    with as_file(SOURCE) as source:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*_test.rego", "__pycache__"))
    known = folder / "system" / "tokens"
    known.mkdir(mode=0o700, parents=True)
    write_whole(known / "data.json", json.dumps({fingerprint(token): who for who, token in tokens.items()}))
    return folder
