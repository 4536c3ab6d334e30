"""A folder of somebody's own Rego, as the bundle that OPA loads.

Decisions and prices name the policy that they come from: `data.gateway.policy {version, currency, revision}`.
Without it they are undefined, and a gateway refuses every call. So the author states version and currency as
data, in `gateway/policy/data.yaml` or in one of the folder's `data.json` above it, and the revision, which is
the digest of the whole folder, is written here, over whatever stands in its place.
"""

from pathlib import Path
from typing import Any, Final

import orjson

from schemas.ids import canonical
from schemas.strict_json import NotStrictJSON, read
from tollhouse import yaml_reader
from tollhouse.policy.revision import MANIFEST, ROOT, Files, NotABundle, Revision, digest_of

FILE_BYTES_MAX: Final = 16 << 20
FILES_MAX: Final = 1_000
DEPTH_MAX: Final = 64
STATED: Final = ("version", "currency")
# Where the policy's data may stand, and under which keys of that file.
_PLACES: Final = {
    "gateway/policy/data.yaml": (),
    "gateway/policy/data.yml": (),
    "gateway/policy/data.json": (),
    "gateway/data.json": ("policy",),
    "data.json": (ROOT, "policy"),
}


def folder_bundle(folder: Path) -> tuple[Files, Revision]:
    """The files of the folder with its revision in them. Raises `DocumentError`, `NotABundle`, `OSError`."""
    files = _read(folder)
    manifest = _manifest(folder, files.pop(MANIFEST, b"{}"))
    place, document, policy = _policy(folder, files)
    del files[place]
    place = str(Path(place).with_suffix(".json"))
    policy.pop("revision", None)
    digest = digest_of({**files, place: canonical(document), MANIFEST: canonical(manifest)})
    policy["revision"] = digest
    files[place] = canonical(document)
    files[MANIFEST] = canonical({**manifest, "revision": digest})
    return files, Revision(policy["version"], digest)


def _read(folder: Path) -> Files:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if len(paths) > FILES_MAX:
        raise NotABundle(f"{folder} has more than {FILES_MAX} files")
    large = next((path for path in paths if path.stat().st_size > FILE_BYTES_MAX), None)
    if large:
        raise NotABundle(f"{large} is larger than {FILE_BYTES_MAX} bytes")
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    if not any(name.endswith(".rego") for name in files):
        raise NotABundle(f"{folder} has no file of Rego")
    return files


def _policy(folder: Path, files: Files) -> tuple[str, Any, dict[str, Any]]:
    """Where the policy is stated: the file, its document, and the policy in it."""
    for place, keys in _PLACES.items():
        if place in files:
            document = policy = _document(folder / place, files[place])
            for key in keys:
                policy = policy.get(key) if isinstance(policy, dict) else None
            if isinstance(policy, dict) and all(isinstance(policy.get(name), str) for name in STATED):
                return place, document, policy
    raise NotABundle(
        f"{folder} does not say data.gateway.policy.version and currency, which decisions and prices name:"
        ' write both as text to gateway/policy/data.yaml (version: "1.0", currency: USD)'
    )


def _document(path: Path, text: bytes) -> Any:
    if path.suffix != ".json":
        return yaml_reader.parse(text, str(path)).value
    try:
        return read(text, DEPTH_MAX)
    except NotStrictJSON as error:
        raise NotABundle(f"{path}: {error}") from None


def _manifest(folder: Path, text: bytes) -> dict[str, Any]:
    try:
        manifest = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotABundle(f"{folder / MANIFEST} is not JSON: {error}") from None
    if not isinstance(manifest, dict):
        raise NotABundle(f"{folder / MANIFEST} must be a JSON object")
    manifest.pop("revision", None)
    return {"roots": [ROOT], "rego_version": 1, **manifest}
