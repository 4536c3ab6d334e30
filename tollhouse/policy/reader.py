"""From a file to a policy document that is right in itself, or every problem of it with its line."""

from collections.abc import Iterator
from pathlib import Path

from tollhouse.policy.contradictions import contradictions_of
from tollhouse.policy.document import PolicyDocument
from tollhouse.policy.warnings import warnings_of
from tollhouse.problems import DocumentError, Problem
from tollhouse.yaml_reader import Document, as_model, read_document


def read_policy(path: Path) -> PolicyDocument:
    """Read and check a policy document. Raises `DocumentError`."""
    return review(path)[0]


def review(path: Path) -> tuple[PolicyDocument, list[Problem]]:
    """The same, with what is legal in it and probably not meant."""
    source = read_document(path)
    policy = as_model(source, PolicyDocument)
    problems = [
        *_names_twice(source, policy),
        *_roles_unknown(source, policy),
        *contradictions_of(source, policy),
    ]
    if problems:
        raise DocumentError(problems)
    return policy, warnings_of(source, policy)


def roles_of(policy: PolicyDocument) -> frozenset[str]:
    """The roles that the policy knows; an agent of any other role may do nothing."""
    return frozenset(policy.roles)


def _names_twice(source: Document, policy: PolicyDocument) -> Iterator[Problem]:
    for name, role in policy.roles.items():
        tools = [tool.name for tool in role.tools]
        for position in _repeated(tools):
            told = f"{tools[position]} stands twice in this role"
            yield source.problem(("roles", name, "tools", position), told)
    rules = [rule.name for rule in policy.spend_rules]
    for position in _repeated(rules):
        told = f"another rule is named {rules[position]} too"
        yield source.problem(("spend_rules", position, "name"), told)


def _repeated(names: list[str]) -> Iterator[int]:
    seen: set[str] = set()
    for position, name in enumerate(names):
        if name in seen:
            yield position
        seen.add(name)


def _roles_unknown(source: Document, policy: PolicyDocument) -> Iterator[Problem]:
    """Approvals by a role that does not exist: nobody could ever give them."""
    known = f"the document has no such role; it has {', '.join(sorted(policy.roles))}"
    for position, rule in enumerate(policy.spend_rules):
        if rule.approver and rule.approver not in policy.roles:
            yield source.problem(("spend_rules", position, "action"), f"{rule.approver}: {known}")
    for name, role in policy.roles.items():
        for position, tool in enumerate(role.tools):
            if tool.approval and tool.approval not in policy.roles:
                path = ("roles", name, "tools", position, "approval")
                yield source.problem(path, f"{tool.approval}: {known}")
