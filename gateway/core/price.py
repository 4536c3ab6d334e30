"""What a call costs, before it is made: known from policy or not at all.

The table is `data.gateway.tools.prices`, read from OPA with its revision, so that prices stand in the
policy document alone. A tool's own entry wins over patterns, the first pattern that matches over later
ones: the same order in which policy looks for the grant. An entry of null is a tool that is free
although a priced pattern matches it.

An argument's amount is in the currency's major unit, as the tool takes it. It is converted exactly, as
a ratio of whole numbers, never through a float and never rounded: what has more digits than the currency
cannot be paid, so the call is refused (`call_unpriceable`). So is a call in which another argument's name
differs from that one's in case alone: some tools read either.

A metered call costs at most what its longest time comes to, and that is its price here
(`gateway.core.usage` says what it has used).
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gateway.core.classify import Call
from gateway.core.decide import Spend
from gateway.core.identify import Principal
from gateway.core.usage import tariff
from gateway.errors import Denied
from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS

PURPOSE: Final = "tool_call"

Price = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RolePrices:
    """The priced tools of one role: by exact name, then by pattern in the order of the policy."""

    tools: dict[str, Price | None]
    patterns: tuple[tuple[re.Pattern[str], Price | None], ...]

    def rule(self, name: str) -> Price | None:
        """The price rule of a tool; None where it is free."""
        if name in self.tools:
            return self.tools[name]
        for pattern, rule in self.patterns:
            if pattern.fullmatch(name):
                return rule
        return None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Every role's prices under one revision of the policy. `currency` is that of fixed prices."""

    revision: str
    currency: str
    roles: dict[str, RolePrices]


def table(document: dict[str, Any]) -> PriceTable:
    """Read `data.gateway.tools.prices`; raises KeyError or TypeError for anything of another form."""
    return PriceTable(
        revision=str(document["revision"]),
        currency=str(document["currency"]),
        roles={
            role: RolePrices(
                tools=dict(prices["tools"]),
                patterns=tuple((glob(entry["glob"]), entry["price"]) for entry in prices["patterns"]),
            )
            for role, prices in document["roles"].items()
        },
    )


def glob(pattern: str) -> re.Pattern[str]:
    """A pattern of the policy document: `*` stands for any characters, all else for itself.

    What stands between two stars is taken where it comes first and nowhere else: that finds every match, and
    a name that has none takes no longer than its length explains, however many stars there are.
    """
    first, *parts = (re.escape(part) for part in pattern.split("*"))
    between = "".join(f"(?>.*?{part})" for part in parts[:-1])
    return re.compile(first + (f"{between}.*{parts[-1]}" if parts else ""), re.DOTALL)


def price(call: Call, principal: Principal, prices: PriceTable) -> Spend | None:
    """What this call may cost, or None where it is free.

    Raises `Denied` with `call_unpriceable` where the tool is priced and the price cannot be told.
    """
    role = prices.roles.get(principal.role)
    rule = role.rule(call.name) if role and call.kind == "tool_call" else None
    if rule is None:
        return None
    if call.content == "opaque" and "argument" in rule:
        raise unpriceable(f"{_teller(rule)} was not read: the body's Content-Type is not application/json")
    amount_cents, currency = _amount(rule, call.arguments, prices.currency)
    if not 0 < amount_cents <= AMOUNT_CENTS_MAX:
        raise unpriceable(f"{_teller(rule)} must come to 1 to {AMOUNT_CENTS_MAX} minor units of {currency}")
    return Spend(amount_cents=amount_cents, currency=currency, purpose=PURPOSE, payee=call.server, price=rule)


def _teller(rule: Price) -> str:
    """What a caller would have to change."""
    return f"the argument {rule['argument']!r}, which tells the price," if "argument" in rule else "the price"


def unpriceable(why: str) -> Denied:
    """The refusal of a paid call whose price cannot be told."""
    return Denied("call_unpriceable", why, reasons=({"code": "call_unpriceable", "message": why},))


def _amount(rule: Price, arguments: dict[str, Any], currency: str) -> tuple[int, str]:
    match rule:
        case {"kind": "fixed", "fixed_cents": int(cents)}:
            return cents, currency
        case {"kind": "metered"} if metered := tariff(rule):
            return metered.ceiling_cents(), currency
        case {"kind": "per_unit", "per_unit_cents": int(cents), "argument": str(path)}:
            return _times(_number(arguments, path), cents, path), currency
        case {"kind": "argument", "argument": str(path), "currency": str(code)} if code in EXPONENTS:
            return _times(_number(arguments, path), 10 ** EXPONENTS[code], path), code
    raise unpriceable("the price rule is of a form that this gateway does not know")


def _number(arguments: dict[str, Any], path: str) -> int | Decimal:
    """The number at a path such as `order.amount`; a point always leads one object deeper."""
    value: Any = arguments
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            raise unpriceable(f"the argument {path!r}, which tells the price, is missing")
        folded = name.casefold()
        if sum(other.casefold() == folded for other in value) > 1:
            raise unpriceable(f"the argument {path!r}, which tells the price, has a twin in another case")
        value = value[name]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise unpriceable(f"the argument {path!r}, which tells the price, is not a number")
    return value


def _times(value: int | Decimal, cents: int, path: str) -> int:
    """`value` times `cents`, exactly, or refused where that is no whole number of minor units."""
    numerator, denominator = value.as_integer_ratio()
    whole, rest = divmod(numerator * cents, denominator)
    if rest:
        raise unpriceable(f"the argument {path!r} has more digits than the currency")
    return whole
