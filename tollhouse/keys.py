"""`tollhouse key create`: an agent's key, shown once and kept as a hash."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import typer

from tollhouse.local.data import LOCK, is_held
from tollhouse.local.policy import POLICY
from tollhouse.local.secrets import new_key
from tollhouse.registry import NoRegistry, add_key, roles_known, tenant_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def create(data: Path, agent: str, role: str, tenant: str | None) -> int:
    """Print a new key as the last word; the exit code."""
    for what, name in (("agent", agent), ("role", role), ("tenant", tenant)):
        if name is not None and not NAME.fullmatch(name):
            typer.echo(f"--{what} {name!r}: letters, digits, - and _ are allowed, at most 64.", err=True)
            return 2
    key = new_key()
    try:
        own = tenant_of(data)
        tenant = tenant or own
        others = roles_known(data, agent, tenant) - {role}
        add_key(data, key, agent, role, tenant)
    except NoRegistry:
        typer.echo(
            f"There is no stack in {data}. Start one (tollhouse up), or name its --data DIR.", err=True
        )
        return 1
    except OSError as error:
        typer.echo(f"The key could not be kept in {data}: {error.strerror}.", err=True)
        return 1
    if tenant != own:
        told = f"{tenant} is not the tenant of this stack, {own}, whose operators see nothing of {agent}"
        typer.echo(f"warning: {told}", err=True)
    for warning in _odd_roles(data, agent, role, others):
        typer.echo(f"warning: {warning}", err=True)
    when = "within a second" if is_held(data / LOCK) else "as soon as the stack runs"
    typer.echo(f"{agent} ({role}, {tenant}) is known to the gateway {when}. Shown only now:", err=True)
    typer.echo(key)
    return 0


def _odd_roles(data: Path, agent: str, role: str, others: set[str]) -> Iterator[str]:
    """What is odd about this role, for an agent that has `others` already."""
    if others:
        yield (
            f"{agent} is known with the role {' and '.join(sorted(others))} already;"
            f" with this key it has the role {role}"
        )
    known = _roles(data)
    if known and role not in known:
        yield (
            f"the policy does not know the role {role}: {agent} may do nothing"
            f" (known: {', '.join(sorted(known))})"
        )


def _roles(data: Path) -> frozenset[str]:
    """The roles of the policy of the stack's last start; none where a folder of Rego has them elsewhere."""
    try:
        policy = json.loads((data / POLICY / "data.json").read_bytes())
    except FileNotFoundError:
        return frozenset()
    return frozenset(policy.get("gateway", {}).get("roles", {}))
