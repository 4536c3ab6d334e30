"""The policy of a stack, compiled into the bundle that OPA loads, and what is odd about it."""

from dataclasses import dataclass
from pathlib import Path

from tollhouse.config import Config
from tollhouse.local.unknown_servers import unknown_servers
from tollhouse.policy.compile import build_bundle
from tollhouse.policy.reader import review, roles_of
from tollhouse.policy.revision import NotABundle
from tollhouse.problems import DocumentError

POLICY = "policy"
"""Where in the data folder the bundle is."""


@dataclass(frozen=True)
class CompiledPolicy:
    """The bundle's folder; the warnings are for a person."""

    folder: Path
    warnings: list[str]


def compile_policy(config: Config, folder: Path) -> CompiledPolicy:
    """Compile what the configuration names into this folder. Raises DocumentError."""
    try:
        build_bundle(config.policy_path, folder)
    except NotABundle as error:
        raise DocumentError([config.problem(("policy",), f"cannot be loaded: {error}")]) from None
    if config.policy_path.is_dir():
        return CompiledPolicy(folder, [])
    policy, warnings = review(config.policy_path)
    told = [str(each) for each in warnings]
    told += unknown_servers(config, policy)
    return CompiledPolicy(folder, told + _unknown_roles(config, roles_of(policy)))


def _unknown_roles(config: Config, known: frozenset[str]) -> list[str]:
    """A role may come by a later revision; until then whoever has it may do nothing."""
    told = f"which the policy does not know: it may do nothing (known: {', '.join(sorted(known))})"
    return [
        str(config.problem(("agents", index, "role"), f"{agent.id} has the role {agent.role}, {told}"))
        for index, agent in enumerate(config.agents)
        if agent.role not in known
    ]
