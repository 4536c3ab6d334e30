"""A journal entry is balanced by construction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.currency import AMOUNT_CENTS_MAX
from treasury.core.money import Money
from treasury.core.posting import OPERATING, JournalEntry, payment
from treasury.errors import Refused

pytestmark = pytest.mark.requirement("TRE-08")

entries = st.builds(
    JournalEntry,
    debited=st.just("vendor:1") | st.just("vendor:2"),
    credited=st.just(OPERATING),
    money=st.builds(Money, st.integers(1, AMOUNT_CENTS_MAX), st.just("USD")),
)


@given(st.lists(entries))
def test_debits_are_credits_whatever_is_posted(posted: list[JournalEntry]) -> None:
    sums = {"debit": 0, "credit": 0}
    for entry in posted:
        for posting in entry.postings:
            sums[posting.direction] += posting.money.amount_cents
    assert sums["debit"] == sums["credit"]


@pytest.mark.requirement("TRE-10")
@given(entries)
def test_a_reversal_takes_every_account_back(entry: JournalEntry) -> None:
    balances: dict[str, int] = {}
    for posting in (*entry.postings, *entry.reversed().postings):
        sign = 1 if posting.direction == "debit" else -1
        balances[posting.account] = balances.get(posting.account, 0) + sign * posting.money.amount_cents
    assert set(balances.values()) == {0}


def test_nobody_pays_himself_or_the_ledger() -> None:
    with pytest.raises(ValueError, match="cannot pay itself"):
        JournalEntry("a", "a", Money(1, "USD"))
    with pytest.raises(Refused, match="recipient_account"):
        payment(OPERATING, Money(1, "USD"))
    assert payment("vendor:1", Money(1, "USD")).credited == OPERATING
