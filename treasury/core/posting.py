"""Postings: double entry. A journal entry cannot be built unbalanced, so nobody has to check it."""

from dataclasses import dataclass
from typing import Final, Literal

from treasury.core.money import Money
from treasury.errors import Refused

Direction = Literal["debit", "credit"]

OPERATING: Final = "tollhouse:operating"
_OWN: Final = "tollhouse:"


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of an entry."""

    account: str
    direction: Direction
    money: Money


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Money that moves from the credited account to the debited one: both sides follow from it."""

    debited: str
    credited: str
    money: Money

    def __post_init__(self) -> None:
        if self.debited == self.credited:
            raise ValueError(f"{self.debited} cannot pay itself")

    @property
    def postings(self) -> tuple[Posting, Posting]:
        """The debit and the credit, of the same money."""
        return Posting(self.debited, "debit", self.money), Posting(self.credited, "credit", self.money)

    def reversed(self) -> "JournalEntry":
        """The correction: the same money back."""
        return JournalEntry(self.credited, self.debited, self.money)


def payment(recipient_account: str, money: Money) -> JournalEntry:
    """The entry of an execution. Accounts of the ledger itself receive nothing from an agent."""
    if recipient_account.startswith(_OWN):
        fault = {
            "loc": ["body", "recipient_account"],
            "message": f"accounts that begin with {_OWN} are the ledger's own",
        }
        raise Refused("invalid", [fault])
    return JournalEntry(debited=recipient_account, credited=OPERATING, money=money)
