"""What a policy document may say and probably does not mean.

Nothing here is a mistake: whatever is warned of refuses too much, or grants more than it seems to.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from tollhouse.policy.argument_rule import ArgumentRule
from tollhouse.policy.document import PAYEE, PolicyDocument, Role, Tool
from tollhouse.policy.tool_names import never_called
from tollhouse.problems import Problem
from tollhouse.yaml_reader import Document

TERMS: Final = ("arguments", "price", "approval")
NUMBERS: Final = frozenset({"number", "integer"})
OF_OTHER_TYPES: Final = frozenset({"pattern", "min_length", "max_length", "items", "min_items", "max_items"})
OWN_ACCOUNTS: Final = "tollhouse:"
WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})


def warnings_of(source: Document, policy: PolicyDocument) -> list[Problem]:
    """All of them, each at the tool or the spend section that it is about, role by role."""
    return [
        warning for name, role in policy.roles.items() for warning in _of(name, role, source, policy.currency)
    ]


def _of(name: str, role: Role, source: Document, currency: str) -> Iterator[Problem]:
    for position, tool in enumerate(role.tools):
        for told in (
            *_grants_all(name, tool),
            *never_called(tool.name),
            *_in_another_currency(tool, currency),
            *_escapable(role, tool),
            *_never_priced(tool),
            *_never_within(role, tool),
        ):
            yield source.problem(("roles", name, "tools", position), told)
    for told in (*_credits_anybody(name, role), *_credits_nobody(name, role)):
        yield source.problem(("roles", name, "spend"), told)


def _grants_all(role: str, tool: Tool) -> Iterator[str]:
    if tool.name == "*":
        yield f"* grants every tool of every server to {role}"


def _credits_anybody(name: str, role: Role) -> Iterator[str]:
    """Who may be paid is bound, and which account is credited is not."""
    if role.spend and role.spend.payees and role.spend.recipients is None:
        yield (
            f"payees binds whom {name} may name, and any account may be credited for it:"
            f" say which with recipients, such as [{PAYEE}] for an account of the payee's name"
        )


def _credits_nobody(name: str, role: Role) -> Iterator[str]:
    """The ledger's own accounts are credited by no execution."""
    recipients = (role.spend and role.spend.recipients) or []
    if recipients and all(account.startswith(OWN_ACCOUNTS) for account in recipients):
        yield (
            f"recipients names accounts of the ledger itself alone ({OWN_ACCOUNTS}…), which nobody may"
            f" credit: every execution of {name} is refused"
        )


def _in_another_currency(tool: Tool, currency: str) -> Iterator[str]:
    """No budget can be charged with it."""
    if tool.price and tool.price.currency not in {None, currency}:
        yield (
            f"{tool.name} is priced in {tool.price.currency}, and the policy's currency is {currency}:"
            " every call of it is refused"
        )


def _escapable(role: Role, tool: Tool) -> Iterator[str]:
    """A grant that binds a tool which a wider pattern grants again, by any other spelling and without that.

    `search.POST /pay/` and `search.POST /Pay` are not `search.POST /pay`, and to many servers they are.
    """
    binds = [word for word in TERMS if getattr(tool, word) is not None]
    wider = next((other.name for other in role.tools if binds and _covers(other, tool)), None)
    if wider is not None:
        yield (
            f"{wider} grants other spellings of {tool.name} too (capitals, a slash at the end), without its"
            f" {' and '.join(binds)}: name what {wider} is meant for"
        )


def _covers(wider: Tool, tool: Tool) -> bool:
    if "*" not in wider.name or not fnmatchcase(tool.name, wider.name):
        return False
    terms = {*TERMS, "additional_arguments"}
    return wider.model_dump(include=terms) != tool.model_dump(include=terms)


def _never_priced(tool: Tool) -> Iterator[str]:
    """A price that no call can have: all of them are refused."""
    path = tool.price.argument if tool.price else None
    if path is None:
        return
    never = f"every call of {tool.name} is refused"
    name, _, deeper = path.partition(".")
    rule = (tool.arguments or {}).get(name)
    if _method(tool.name) in WITHOUT_BODY:
        yield f"{path} tells the price, and what stands in a query is text and no number: {never}"
    elif rule is not None and not (_may_be_object(rule) if deeper else _may_be_number(rule)):
        wanted = "object" if deeper else "number"
        yield f"{name} tells the price, and its rule lets it be no {wanted}: {never}"
    elif rule is None and tool.arguments is not None and not tool.additional_arguments:
        yield f"{name} tells the price, and is not named in arguments: {never}"


def _never_within(role: Role, tool: Tool) -> Iterator[str]:
    """A price that is always above what the role may spend at once."""
    ceiling_cents = role.spend.ceiling_cents if role.spend else None
    held_cents = tool.price.known_cents if tool.price else None
    if held_cents and ceiling_cents and held_cents > ceiling_cents:
        yield (
            f"{tool.name} costs up to {held_cents} cents and the role's ceiling is {ceiling_cents}:"
            " every call of it is refused"
        )


def _method(tool: str) -> str:
    """The method of an HTTP tool, `server.METHOD /path`."""
    called, slash, _ = tool.partition(" /")
    return called.rpartition(".")[2] if slash else ""


def _may_be_number(rule: ArgumentRule) -> bool:
    if rule.type is not None:
        return rule.type in NUMBERS
    return not OF_OTHER_TYPES & rule.model_fields_set and any(map(_is_number, _named(rule)))


def _may_be_object(rule: ArgumentRule) -> bool:
    return rule.type in {None, "object"}


def _named(rule: ArgumentRule) -> list[Any]:
    """The values that the rule names; any number, where it names none."""
    if "const" in rule.model_fields_set:
        return [rule.const]
    return [0] if rule.enum is None else rule.enum


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
