"""Who the gateway knows: the configured agents and operators, and the keys that were made later.

`keys.json` keeps what `tollhouse key create` made (hashes alone, no key), `registry.json` is the whole that
the gateway reads; `gateways.json` tells the treasury for which tenants a gateway may speak. Each changes in
one step, under a lock, so that no two writers lose a key.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tollhouse.config import Config
from tollhouse.local.files import write_whole

REGISTRY = "registry.json"
KEYS = "keys.json"
OPERATORS = "operators.json"
GATEWAYS = "gateways.json"


class NoRegistry(Exception):
    """The data folder was never started: there is nothing to add a key to."""


def fingerprint(key: str) -> str:
    """How a key is known: its SHA-256 in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def compose(config: Config, agents: Mapping[str, str], operators: Mapping[str, str]) -> dict[str, Any]:
    """The registry of a configuration; `agents` and `operators` give the keys by id."""
    identities = {
        agent.id: {"agent": agent.id, "role": agent.role, "tenant": config.tenant} for agent in config.agents
    }
    return {
        "tenant": config.tenant,
        "servers": {
            name: {"kind": server.kind, "url": server.url} for name, server in config.servers.items()
        },
        "keys": {fingerprint(agents[name]): identity for name, identity in identities.items()},
        "issuers": [
            {
                **issuer.model_dump(exclude={"subjects"}),
                "subjects": {subject: identities[agent] for subject, agent in issuer.subjects.items()},
            }
            for issuer in config.issuers
        ],
        "operators": {
            fingerprint(operators[operator.id]): {
                "id": operator.id,
                "role": operator.role,
                "tenant": config.tenant,
            }
            for operator in config.operators
        },
    }


def publish(data: Path, registry: Mapping[str, Any], gateway: Mapping[str, Any]) -> None:
    """Write who is known, with the keys that were made later; `gateway` is ours as the treasury pins it."""
    with _alone(data):
        later = _read(data / KEYS) if (data / KEYS).exists() else {}
        _write(data, {**registry, "keys": {**later, **registry["keys"]}}, gateway)
        write_whole(data / OPERATORS, _text(registry["operators"]))


def tenant_of(data: Path) -> str:
    """The tenant of the stack. Raises NoRegistry."""
    return str(_registry(data)["tenant"])


def roles_known(data: Path, agent: str, tenant: str) -> set[str]:
    """The roles by which the gateway knows this agent, configured or by other keys. Raises NoRegistry."""
    registry = _registry(data)
    subjects = (each for issuer in registry["issuers"] for each in issuer["subjects"].values())
    return {
        str(known["role"])
        for known in (*registry["keys"].values(), *subjects)
        if (known["agent"], known["tenant"]) == (agent, tenant)
    }


def add_key(data: Path, key: str, agent: str, role: str, tenant: str | None) -> str:
    """Let this key in, as this agent; answers the tenant that it is of. Raises NoRegistry."""
    _registry(data)
    with _alone(data):
        registry = _registry(data)
        later = _read(data / KEYS) if (data / KEYS).exists() else {}
        tenant = tenant or str(registry["tenant"])
        entry = {fingerprint(key): {"agent": agent, "role": role, "tenant": tenant}}
        write_whole(data / KEYS, _text({**later, **entry}))
        gateway = _read(data / GATEWAYS)
        _write(data, {**registry, "keys": {**registry["keys"], **entry}}, gateway)
    return tenant


def _write(data: Path, registry: Mapping[str, Any], gateway: Mapping[str, Any]) -> None:
    """The treasury learns of a tenant before the gateway does."""
    tenants = {str(registry["tenant"]), *(identity["tenant"] for identity in registry["keys"].values())}
    pinned = {sha256: {**entry, "tenants": sorted(tenants)} for sha256, entry in gateway.items()}
    write_whole(data / GATEWAYS, _text(pinned))
    write_whole(data / REGISTRY, _text(registry))


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One writer at a time."""
    handle = os.open(data / "keys.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _registry(data: Path) -> Any:
    if not (data / REGISTRY).exists():
        raise NoRegistry(str(data))
    return _read(data / REGISTRY)


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _text(document: object) -> str:
    return json.dumps(document, indent=2)
