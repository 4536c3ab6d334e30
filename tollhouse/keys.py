"""`tollhouse key create`: an agent's key, shown once and kept as a hash."""

import json
import re
from pathlib import Path

import typer

from tollhouse.local.policy import POLICY
from tollhouse.local.secrets import new_key
from tollhouse.registry import NoRegistry, add_key

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def create(data: Path, agent: str, role: str, tenant: str | None) -> int:
    """Print a new key as the last word; the exit code."""
    for what, name in (("agent", agent), ("role", role), ("tenant", tenant)):
        if name is not None and not NAME.fullmatch(name):
            typer.echo(f"--{what} {name!r}: letters, digits, - and _ are allowed, at most 64.", err=True)
            return 2
    key = new_key()
    try:
        tenant = add_key(data, key, agent, role, tenant)
    except NoRegistry:
        typer.echo(
            f"There is no stack in {data}. Start one (tollhouse up), or name its --data DIR.", err=True
        )
        return 1
    except OSError as error:
        typer.echo(f"The key could not be kept in {data}: {error.strerror}.", err=True)
        return 1
    known = _roles(data)
    if known and role not in known:
        told = f"the policy does not know the role {role}: {agent} may do nothing"
        typer.echo(f"warning: {told} (known: {', '.join(sorted(known))})", err=True)
    typer.echo(
        f"{agent} ({role}, {tenant}) is known to the gateway within a second. Shown only now:", err=True
    )
    typer.echo(key)
    return 0


def _roles(data: Path) -> frozenset[str]:
    """The roles of the policy of the stack's last start; none where a folder of Rego has them elsewhere."""
    try:
        policy = json.loads((data / POLICY / "data.json").read_bytes())
    except FileNotFoundError:
        return frozenset()
    return frozenset(policy.get("gateway", {}).get("roles", {}))
