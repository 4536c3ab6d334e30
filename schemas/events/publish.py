"""Publishing schemas: what was published once is kept beside the registry and binds what comes after it.

    python -m schemas.events.publish           publish what is new, and what changed compatibly
    python -m schemas.events.publish --check   change nothing; exit code 1 and what is wrong

`published/` holds every schema as it was last published, `published.json` the digest of each, so that a pin
cannot be edited by the way. A breaking change under the same version (`schemas.events.compatibility`) is
refused by both.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.events.compatibility import breaking
from schemas.events.registry import SCHEMAS
from schemas.ids import digest

FOLDER: Final = Path(__file__).parent
_COMMAND: Final = "python -m schemas.events.publish"

Documents = Mapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Published:
    """The schemas as they were published, by file name, and their digests."""

    pins: Mapping[str, str]
    schemas: Documents

    @classmethod
    def read(cls, folder: Path = FOLDER) -> "Published":
        """From `published.json` and `published/`; a pin may lack its schema."""
        pins = json.loads((folder / "published.json").read_text("utf-8"))
        files = sorted((folder / "published").glob("*.json"))
        return cls(pins, {path.name: json.loads(path.read_text("utf-8")) for path in files})


def broken(now: Documents, published: Published) -> list[str]:
    """Why what is there now may not be published; empty where it may."""
    faults = [
        f"{name}: what was published is not what is pinned"
        for name, schema in published.schemas.items()
        if published.pins.get(name) != digest(schema)
    ]
    old, new = _by_id(published.schemas), _by_id(now)
    for name, schema in published.schemas.items():
        if name not in now:
            faults.append(f"{name}: was published and is gone")
        else:
            faults += [f"{name}: {fault}" for fault in breaking(schema, now[name], old, new)]
    return faults


def unpublished(now: Documents, published: Published) -> list[str]:
    """What is new or changed, and has to be published."""
    return [
        name
        for name, schema in now.items()
        if published.schemas.get(name) != schema or published.pins.get(name) != digest(schema)
    ]


def publish(now: Documents, names: list[str], published: Published, folder: Path = FOLDER) -> None:
    """Keep these as published."""
    (folder / "published").mkdir(exist_ok=True)
    for name in names:
        (folder / "published" / name).write_text(json.dumps(now[name], indent=2) + "\n", "utf-8")
    pins = {**published.pins, **{name: digest(now[name]) for name in names}}
    (folder / "published.json").write_text(json.dumps(dict(sorted(pins.items())), indent=2) + "\n", "utf-8")


def main(arguments: list[str]) -> int:
    """The command; its exit code."""
    published = Published.read()
    faults = broken(SCHEMAS, published)
    if faults:
        sys.stderr.write("\n".join([*faults, "A breaking change gets a new version beside the old one.", ""]))
        return 1
    names = unpublished(SCHEMAS, published)
    if arguments == ["--check"]:
        sys.stderr.writelines(f"{name}: not published, run {_COMMAND}\n" for name in names)
        return 1 if names else 0
    publish(SCHEMAS, names, published)
    sys.stdout.writelines(f"published {name}\n" for name in names)
    return 0


def _by_id(documents: Documents) -> dict[str, dict[str, Any]]:
    return {schema["$id"]: schema for schema in documents.values()}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
