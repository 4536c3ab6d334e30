"""Finding Open Policy Agent, or getting it.

In this order: `opa` on PATH when it is new enough; the pinned version in the user's cache; a release named by
TOLLHOUSE_OPA_URL and TOLLHOUSE_OPA_SHA256; a build with Go at the pinned version, whose source Go itself
verifies. Whatever is fetched or built appears in the cache whole or not at all.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from tollhouse.local.folders import cache_folder
from tollhouse.local.progress import shown

VERSION = "1.22.0"
OLDEST = (1, 21, 3)
"""Anything older has a known hole in the verification of bundles."""
MODULE = f"github.com/open-policy-agent/opa@v{VERSION}"
VERSION_TIMEOUT_S = 10
DOWNLOAD_TIMEOUT_S = 60.0
DOWNLOAD_MAX_BYTES = 300_000_000
BUILD_TIMEOUT_S = 1_800

Progress = Callable[[str], None]


class OpaMissing(Exception):
    """OPA is not here and could not be got; the message says what to do."""


def find_opa() -> Path | None:
    """The OPA that is here already, None when there is none."""
    on_path = shutil.which("opa")
    if on_path and (version_of(Path(on_path)) or (0,)) >= OLDEST:
        return Path(on_path)
    cached = cached_opa()
    return cached if cached.exists() else None


def obtain_opa(progress: Progress, environment: Mapping[str, str] = os.environ) -> Path:
    """The OPA that is here, or else a fresh one; `progress` is told what goes on meanwhile.

    Raises OpaMissing.
    """
    if found := find_opa():
        return found
    url, checksum = environment.get("TOLLHOUSE_OPA_URL"), environment.get("TOLLHOUSE_OPA_SHA256")
    if url and checksum:
        return _download(url, checksum, progress)
    if go := shutil.which("go"):
        return _build(go, progress)
    raise OpaMissing(
        f"Open Policy Agent was not found: no `opa` {'.'.join(map(str, OLDEST))} or newer on PATH, none at "
        f"{cached_opa()}, and no Go to build it with.\nDo one of these:\n"
        f"  - put the `opa` release {VERSION} on PATH;\n"
        "  - set TOLLHOUSE_OPA_URL to a release for this machine and TOLLHOUSE_OPA_SHA256 to its checksum;\n"
        "  - install Go (1.25 or newer) and run this again: it is built once and kept."
    )


def cached_opa() -> Path:
    """Where the pinned version is kept."""
    return cache_folder() / f"opa-{VERSION}" / "opa"


def version_of(binary: Path) -> tuple[int, ...] | None:
    """What `opa version` says, None when it does not say it."""
    try:
        run = subprocess.run(
            [str(binary), "version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"^Version: (\d+)\.(\d+)\.(\d+)", run.stdout, re.MULTILINE)
    return tuple(map(int, match.groups())) if match else None


def _download(url: str, checksum: str, progress: Progress) -> Path:
    with tempfile.TemporaryDirectory(dir=_shelf()) as folder:
        draft = Path(folder) / "opa"
        hasher = hashlib.sha256()
        try:
            with (
                httpx.stream("GET", url, timeout=DOWNLOAD_TIMEOUT_S, follow_redirects=True) as answer,
                draft.open("wb") as file,
            ):
                answer.raise_for_status()
                for piece in answer.iter_bytes():
                    hasher.update(piece)
                    file.write(piece)
                    progress(f"downloading OPA {VERSION}: {file.tell() // 1_000_000} MB")
                    if file.tell() > DOWNLOAD_MAX_BYTES:
                        raise OpaMissing(
                            f"{url} is larger than {DOWNLOAD_MAX_BYTES} bytes: not an OPA release."
                        )
        except httpx.HTTPError as error:
            raise OpaMissing(f"OPA could not be downloaded from {url}: {error}") from error
        if hasher.hexdigest() != checksum.lower():
            raise OpaMissing(
                f"What {url} gave is not what TOLLHOUSE_OPA_SHA256 says (it is {hasher.hexdigest()}): "
                "it was not kept."
            )
        return _keep(draft)


def _build(go: str, progress: Progress) -> Path:
    progress(f"building OPA {VERSION} with Go (about a minute, once)")
    with tempfile.TemporaryDirectory(dir=_shelf()) as folder:
        build = subprocess.Popen(
            [go, "install", "-v", MODULE],
            env={**os.environ, "GOBIN": folder, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = _follow(build, progress)
        if build.wait(BUILD_TIMEOUT_S) != 0:
            raise OpaMissing(f"OPA {VERSION} could not be built with {go}:\n" + "\n".join(said[-10:]))
        return _keep(Path(folder) / "opa")


def _follow(build: "subprocess.Popen[str]", progress: Progress) -> list[str]:
    """Tell each package as the compiler names it; the lines are kept for the error message."""
    said = []
    for line in build.stderr or ():
        said.append(line.rstrip())
        progress(f"building OPA {VERSION} with Go: {len(said)} packages, {said[-1]}")
    return said


def _shelf() -> Path:
    shelf = cached_opa().parent
    shelf.mkdir(parents=True, exist_ok=True)
    return shelf


def _keep(draft: Path) -> Path:
    draft.chmod(0o755)
    if version_of(draft) is None:
        raise OpaMissing(f"{draft.name} does not run on this machine: it was built for another one.")
    return draft.replace(cached_opa())


def main() -> None:
    """`python -m tollhouse.local.opa_binary`: see to it that OPA is here, and print where."""
    with shown() as progress:
        try:
            found = obtain_opa(progress)
        except OpaMissing as error:
            raise SystemExit(str(error)) from None
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main()
