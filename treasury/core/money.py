"""Money: a whole number of minor units together with its currency. Nothing here is ever a float."""

from dataclasses import dataclass
from typing import Self

from schemas.currency import AMOUNT_CENTS_MAX, EXPONENTS


@dataclass(frozen=True, slots=True)
class Money:
    """From 1 to 2^53 - 1 minor units of an ISO 4217 currency; anything else is a `ValueError`."""

    amount_cents: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_cents) is not int or not 0 < self.amount_cents <= AMOUNT_CENTS_MAX:
            raise ValueError(f"{self.amount_cents!r} is no amount of 1 to {AMOUNT_CENTS_MAX} minor units")
        if self.currency not in EXPONENTS:
            raise ValueError(f"{self.currency!r} is not an ISO 4217 currency")

    def __add__(self, other: Self) -> "Money":
        """The sum; of two currencies there is none (`ValueError`)."""
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
        return Money(self.amount_cents + other.amount_cents, self.currency)

    def __str__(self) -> str:
        return f"{major(self.amount_cents, self.currency)} {self.currency}"


def major(amount_cents: int, currency: str) -> str:
    """Any whole number of minor units in the currency's major unit, exactly: 1234 USD is "12.34"."""
    exponent = EXPONENTS[currency]
    whole, fraction = divmod(abs(amount_cents), 10**exponent)
    sign = "-" if amount_cents < 0 else ""
    return f"{sign}{whole}.{fraction:0{exponent}d}" if exponent else f"{sign}{whole}"
