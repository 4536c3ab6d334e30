"""From a policy document to the bundle that OPA loads.

A bundle is the Rego that ships with us, the same for all, and `data.json`, the document compiled. Its
revision is the SHA-256 of both, so equal documents give equal bytes and a decision's revision names exactly
what was loaded. The form of the data is told in docs/architecture.md, "The policy in OPA".
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from schemas.currency import EXPONENTS
from schemas.ids import canonical
from tollhouse.policy.condition import compile_condition
from tollhouse.policy.document import RATES, PolicyDocument, Price, Role, SpendRule, Tool
from tollhouse.policy.folder import folder_bundle
from tollhouse.policy.reader import read_policy
from tollhouse.policy.revision import MANIFEST, ROOT, Files, Revision, digest_of

REGO: Final = Path(__file__).parents[2] / "rego"


def build_bundle(policy: Path, out: Path) -> Revision:
    """Write the bundle of a policy document, or of a folder that is a bundle's root already, to `out`.

    What stood at `out` is replaced at once or not at all. Raises `DocumentError`, `NotABundle`, `OSError`.
    """
    if policy.is_dir():
        files, revision = folder_bundle(policy)
    else:
        files, revision = compile_policy(read_policy(policy))
    _replace(out, files)
    return revision


def compile_policy(policy: PolicyDocument) -> tuple[Files, Revision]:
    """The files of the bundle by their path, and its revision. A pure function of document and Rego."""
    files = {
        path.relative_to(REGO).as_posix(): path.read_bytes()
        for path in sorted((REGO / ROOT).rglob("*.rego"))
        if not path.name.endswith("_test.rego")
    }
    data = policy_data(policy)
    revision = Revision(policy.version, digest_of({**files, "data.json": canonical(data)}))
    data[ROOT]["policy"]["revision"] = revision.revision
    files["data.json"] = canonical(data)
    files[MANIFEST] = canonical({"revision": revision.revision, "roots": [ROOT], "rego_version": 1})
    return files, revision


def policy_data(policy: PolicyDocument) -> dict[str, Any]:
    """The document as the data of `data.gateway`, without its revision."""
    return {
        ROOT: {
            "policy": {
                "version": policy.version,
                "currency": policy.currency,
                "budgets": [limit.data() for limit in policy.limits()],
            },
            "roles": {name: _role(role, policy.currency) for name, role in policy.roles.items()},
            "spend": {"rules": [_rule(rule) for rule in policy.spend_rules]},
        }
    }


def _role(role: Role, currency: str) -> dict[str, Any]:
    grants = {tool.name: _grant(tool, currency) for tool in role.tools}
    return _said(
        tools={name: grant for name, grant in grants.items() if "*" not in name},
        patterns=[{"glob": name, "grant": grant} for name, grant in grants.items() if "*" in name],
        budgets=[limit.data() for limit in role.limits()] or None,
        rate_limit=role.rate_limits and role.rate_limits.model_dump(),
        spend=role.spend and role.spend.model_dump(exclude_none=True),
    )


def _grant(tool: Tool, currency: str) -> dict[str, Any]:
    rules = tool.arguments
    return _said(
        arguments=None if rules is None else {name: rule.data() for name, rule in rules.items()},
        additional_arguments=tool.additional_arguments,
        price=tool.price and _price(tool.price, currency),
        approval=tool.approval,
    )


def _price(price: Price, currency: str) -> dict[str, Any]:
    said = _said(**price.model_dump(exclude={"currency", *RATES}), kind=price.kind)
    if price.kind == "metered":
        said["rate_cents"], said["rate_seconds"] = price.rate
    if price.kind == "argument":
        said["currency"] = price.currency or currency
        said["minor_units"] = 10 ** EXPONENTS[said["currency"]]
    return said


def _rule(rule: SpendRule) -> dict[str, Any]:
    return _said(
        name=rule.name,
        action="approve" if rule.approver else "deny",
        role=rule.approver,
        any=compile_condition(rule.condition),
    )


def _said(**members: Any) -> dict[str, Any]:
    """The members that the document says something about."""
    return {name: value for name, value in members.items() if value is not None}


def _replace(out: Path, files: Files) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        fresh, old = Path(folder, "fresh"), Path(folder, "old")
        for name, content in files.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(content)
        if out.exists():
            out.rename(old)
        fresh.rename(out)
        shutil.rmtree(old, ignore_errors=True)
