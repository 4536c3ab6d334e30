"""Limits of money that cannot both be meant.

A limit above one that contains it says nothing, since it is never reached: somebody believes in room that is
not there. Only a prepaid budget may contain larger limits, as it is topped up.
"""

from collections.abc import Iterator

from tollhouse.policy.budgets import Limit
from tollhouse.policy.document import PolicyDocument
from tollhouse.problems import Path, Problem, dotted
from tollhouse.yaml_reader import Document

Placed = tuple[Path, Limit]


def contradictions_of(source: Document, policy: PolicyDocument) -> Iterator[Problem]:
    """All of them, each at the limit that is said once too often or is too large."""
    shared = [(limit.path, limit) for limit in policy.limits()]
    yield from _too_large(source, shared, shared)
    for name, role in policy.roles.items():
        own = [(("roles", name, *limit.path), limit) for limit in role.limits()]
        yield from _said_twice(source, own)
        yield from _too_large(source, own, [*own, *shared])


def _said_twice(source: Document, own: list[Placed]) -> Iterator[Problem]:
    daily = [path for path, limit in own if (limit.scope, limit.window) == ("role", "day")]
    if len(daily) > 1:
        long, short = sorted(daily, key=len, reverse=True)
        told = f"{_named(source, short)} says it already: keep one of the two"
        yield source.problem(long, told)


def _too_large(source: Document, limits: list[Placed], others: list[Placed]) -> Iterator[Problem]:
    for path, limit in limits:
        around = [
            (other.limit_cents, there)
            for there, other in others
            if other.contains(limit) and not other.is_prepaid and other.limit_cents < limit.limit_cents
        ]
        if around:
            least_cents, there = min(around, key=lambda found: found[0])
            least = f"the {least_cents} of {_named(source, there)}"
            yield source.problem(path, f"{limit.limit_cents} is above {least}, which contains it")


def _named(source: Document, path: Path) -> str:
    line, _ = source.values[path]
    return f"{dotted(path)} (line {line})"
