"""The policy document: roles with their tools and money, and the spend rules.

The form is that of docs/reference/policy-document.md. These models say what each key may be; how the parts
fit together (roles that rules name, names that stand twice) is checked in `tollhouse.policy.reader`.
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.currency import AMOUNT_CENTS_MAX
from schemas.spend import Currency
from tollhouse.policy.argument_rule import ArgumentRule
from tollhouse.policy.budgets import WINDOWS, Cents, Limit, RoleBudgets, SharedBudgets, limits_of
from tollhouse.policy.condition import compile_condition
from tollhouse.policy.written import Written

TOOLS_MAX: Final = 10_000
RULES_MAX: Final = 1_000
_ACTION: Final = re.compile(r"deny|require_(?P<role>[A-Za-z0-9_.-]+)_approval")
SECONDS_MAX: Final = 86_400
RATES: Final = {"per_second_cents": 1, "per_minute_cents": 60, "per_hour_cents": 3_600}
"""The rates of a metered price, and the seconds that each is for."""
_PRICE_FORMS: Final = (
    {"fixed_cents"},
    {"per_unit_cents", "argument"},
    {"argument"},
    {"argument", "currency"},
    *({rate, "max_seconds"} for rate in RATES),
)
PAYEE: Final = "{payee}"
_ACCOUNTS: Final = re.compile(r"[A-Za-z0-9._:@/*-]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_GLOB_MAGIC: Final = re.compile(r"[?\[\]{}\\]")


def _glob(text: str) -> str:
    if "*" in text and (odd := _GLOB_MAGIC.search(text)):
        raise ValueError(f"a pattern knows only *, not {odd[0]}")
    return text


def _accounts(text: str) -> str:
    if not _ACCOUNTS.fullmatch(text.replace(PAYEE, "")):
        raise ValueError(f"an account has letters, digits and ._:@/-, a pattern also * and {PAYEE}")
    return text


def _version(text: str) -> str:
    """Requests name it and answers show it; what cannot be seen in it cannot be told apart."""
    if odd := _CONTROL.search(text):
        raise ValueError(f"must have no control characters, and has {odd[0]!a}")
    return text


def _condition(text: str) -> str:
    compile_condition(text)
    return text


def _action(text: str) -> str:
    if not _ACTION.fullmatch(text):
        raise ValueError(f"must be deny or require_<role>_approval, got {text!r}")
    return text


RoleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Pattern = Annotated[Name, AfterValidator(_glob)]
Recipient = Annotated[Name, AfterValidator(_accounts)]
PositiveCents = Annotated[int, Field(ge=1, le=AMOUNT_CENTS_MAX)]


class Price(Written):
    """What one call costs: fixed, the amount that an argument says, a price for each unit of it, or a rate
    for the time that it takes, at most `max_seconds`.

    `argument` may be a path such as `order.amount`. An amount is in the currency's major unit.
    """

    fixed_cents: PositiveCents | None = None
    per_unit_cents: PositiveCents | None = None
    per_second_cents: PositiveCents | None = None
    per_minute_cents: PositiveCents | None = None
    per_hour_cents: PositiveCents | None = None
    max_seconds: int | None = Field(default=None, ge=1, le=SECONDS_MAX)
    argument: Name | None = None
    currency: Currency | None = None
    charged_on_error: bool = False

    @property
    def kind(self) -> Literal["fixed", "per_unit", "argument", "metered"]:
        """Which of the four forms it is."""
        if self.fixed_cents is not None:
            return "fixed"
        if self.max_seconds is not None:
            return "metered"
        return "argument" if self.per_unit_cents is None else "per_unit"

    @model_validator(mode="after")
    def _has_one_form(self) -> "Price":
        says = self.model_fields_set - {"charged_on_error"}
        if says not in _PRICE_FORMS:
            raise ValueError(
                "a price is {fixed_cents}, {per_unit_cents, argument}, {argument, currency} or"
                " {per_second_cents, max_seconds} (per minute, per hour),"
                f" not {{{', '.join(sorted(says))}}}"
            )
        if self.rate[0] * (self.max_seconds or 0) > AMOUNT_CENTS_MAX:
            raise ValueError("a call of max_seconds costs more than a ledger can hold")
        return self

    @property
    def known_cents(self) -> int | None:
        """What is held for every call of it; None where its arguments tell."""
        cents, seconds = self.rate
        return self.fixed_cents or -(-cents * (self.max_seconds or 0) // seconds) or None

    @property
    def rate(self) -> tuple[int, int]:
        """The minor units that a metered call costs, in so many seconds; 0 of any other price."""
        said = ((getattr(self, name), seconds) for name, seconds in RATES.items())
        return next(((cents, seconds) for cents, seconds in said if cents is not None), (0, 1))


class Tool(Written):
    """One tool, or a pattern of tools, that a role may call; written as its bare name, any arguments go."""

    name: Pattern
    arguments: dict[str, ArgumentRule] | None = None
    additional_arguments: bool = False
    price: Price | None = None
    approval: RoleName | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class RateLimits(Written):
    """At most so many judged calls of each agent in so many seconds."""

    calls: int = Field(ge=1)
    per_s: int = Field(ge=1)


class SpendSection(Written):
    """What a role may spend on, to whom, and how much at once.

    Without `payees` it may pay anybody; without `recipients` it may credit any account.
    """

    purposes: list[Name]
    payees: list[Pattern] | None = None
    recipients: list[Recipient] | None = None
    ceiling_cents: PositiveCents | None = None


class Role(Written):
    """What the agents of one role may do. `daily_budget_cents` is `budgets.role.day_cents`, said shorter."""

    tools: list[Tool] = Field(default=[], max_length=TOOLS_MAX)
    daily_budget_cents: Cents | None = None
    budgets: RoleBudgets | None = None
    rate_limits: RateLimits | None = None
    spend: SpendSection | None = None

    def limits(self) -> list[Limit]:
        """What its agents may spend, the narrowest limit first."""
        found = list(limits_of(self.budgets))
        if self.daily_budget_cents is not None:
            found.append(Limit("role", "day", self.daily_budget_cents, ("daily_budget_cents",)))
        return sorted(found, key=lambda limit: (limit.scope, WINDOWS.index(limit.window)))


class SpendRule(Written):
    """A rule over every spend and every paid call of every role."""

    name: Name
    condition: Annotated[str, AfterValidator(_condition)]
    action: Annotated[str, AfterValidator(_action)]

    @property
    def approver(self) -> str | None:
        """The role that must say yes; None where the rule denies."""
        match = _ACTION.fullmatch(self.action)
        return match["role"] if match else None


class PolicyDocument(Written):
    """The whole document. `currency` is that of all its amounts, budgets and ceilings."""

    version: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_version)]
    currency: Currency
    budgets: SharedBudgets | None = None
    roles: dict[RoleName, Role]
    spend_rules: list[SpendRule] = Field(default=[], max_length=RULES_MAX)

    def limits(self) -> list[Limit]:
        """What workflows and the tenant may spend, the narrowest limit first."""
        return list(limits_of(self.budgets))
