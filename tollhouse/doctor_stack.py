"""What `tollhouse doctor` looks at of one stack: its `tollhouse.yaml`, policy, ports and data folder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tollhouse.config import Config, read_config
from tollhouse.finding import Finding, asked
from tollhouse.local import journals
from tollhouse.local.data import DataFolder
from tollhouse.local.policy import compile_policy
from tollhouse.local.ports import is_free
from tollhouse.local.ready_file import NoStack, running
from tollhouse.local.stack import LISTENING
from tollhouse.problems import DocumentError


def look_at_stack(config: Path | None, default: Path, data: Path) -> Iterator[Finding]:
    """All of it; the folder alone where no `config` is named and the `default` is not there."""
    yield asked("data folder", lambda: _data(data))
    if config is None and not default.exists():
        yield Finding("configuration", "ok", f"no {default} here; --config FILE names one that is elsewhere")
        return
    path = config or default
    try:
        found = read_config(path)
    except DocumentError as error:
        yield Finding("configuration", "wrong", str(error))
        return
    yield Finding("configuration", "ok", str(path))
    yield from _policy(found)
    yield from _ports(found, data)


def _data(folder: Path) -> str:
    """Only looked at: `tollhouse up` makes what is not there."""
    found, within = DataFolder.look(folder)
    if within is not None:
        return f"{found.root} is not there yet and will be made in {within}"
    journals.require_usable(found.root)
    return str(found.root)


def _policy(config: Config) -> Iterator[Finding]:
    """Compiled as `tollhouse up` does it, and thrown away."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            warnings = compile_policy(config, Path(folder) / "bundle").warnings
    except DocumentError as error:
        yield Finding("policy", "wrong", str(error))
        return
    yield Finding("policy", "ok", str(config.policy_path))
    yield from (Finding("policy", "odd", warning) for warning in warnings)


def _ports(config: Config, data: Path) -> Iterator[Finding]:
    """Those that the file gives. The stack that runs on this folder may have its own."""
    ours = _ports_of_stack(data)
    for name in LISTENING:
        port = config.port(name)
        if port is None:
            continue
        if is_free(port):
            yield Finding(f"port of {name}", "ok", f"{port} is free")
        elif ours.get(name) == port:
            yield Finding(f"port of {name}", "ok", f"{port} is that of the stack that runs in {data}")
        else:
            told = f"stop that program, or set another {name}.port in {config.path}"
            yield Finding(f"port of {name}", "wrong", f"{port} is in use by another program: {told}")


def _ports_of_stack(data: Path) -> dict[str, int | None]:
    try:
        ready = running(data)
    except NoStack:
        return {}
    return {name: urlsplit(str(ready[name])).port for name in LISTENING}
