"""`tollhouse doctor`: what the local stack needs of this machine, asked of the machine itself."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console

from tollhouse.doctor_stack import look_at_stack
from tollhouse.finding import Finding, asked
from tollhouse.local.nats import nats_binary
from tollhouse.local.opa_binary import VERSION, find_opa, version_of
from tollhouse.local.ports import free_port
from tollhouse.local.postgres import binaries
from tollhouse.local.unprivileged import Unprivileged

MARKS: Final = {"ok": "[green]ok[/green]   ", "odd": "[yellow]odd[/yellow]  ", "wrong": "[red]wrong[/red]"}


def examine(config: Path | None, default: Path, data: Path) -> int:
    """Print every finding; 1 when anything is wrong."""
    console = Console(highlight=False)
    findings = [*look(), *look_at_stack(config, default, data)]
    for finding in findings:
        console.print(f"{MARKS[finding.state]} {finding.what}: ", end="")
        console.print(finding.said, markup=False, soft_wrap=True)
    return 1 if any(finding.state == "wrong" for finding in findings) else 0


def look() -> Iterator[Finding]:
    """Everything that `tollhouse up` relies on, whatever the stack."""
    new_enough = sys.version_info >= (3, 11)
    yield Finding("Python", "ok" if new_enough else "wrong", f"{sys.version.split()[0]} at {sys.executable}")
    yield _opa()
    yield asked("PostgreSQL", _postgres)
    yield asked("NATS", lambda: f"nats-server at {nats_binary()}")
    yield asked("ports of loopback", lambda: f"{free_port()} and others are free")


def _opa() -> Finding:
    found = find_opa()
    if found:
        version = ".".join(map(str, version_of(found) or ()))
        return Finding("Open Policy Agent", "ok", f"{version} at {found}")
    if go := shutil.which("go"):
        return Finding("Open Policy Agent", "ok", f"not here yet; the first start builds {VERSION} with {go}")
    return Finding(
        "Open Policy Agent",
        "wrong",
        f"not here, and no Go to build it. Put opa {VERSION} on PATH, or install Go, "
        "or set TOLLHOUSE_OPA_URL and TOLLHOUSE_OPA_SHA256.",
    )


def _postgres() -> str:
    with tempfile.TemporaryDirectory() as folder:
        identity = Unprivileged.find(Path(folder), binaries())
    how = (
        "a user namespace"
        if identity.prefix
        else f"the user {identity.user}"
        if identity.user
        else "yourself"
    )
    return f"at {binaries()}, runs as {how}"
