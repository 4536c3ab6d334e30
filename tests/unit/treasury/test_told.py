"""What intents, holds, commands and tables say of themselves."""

from uuid import UUID

import pytest

from schemas.ids import new_id
from tests.fixtures.commands import a_command, a_warrant, an_intent
from treasury.core.authorization import HOLD
from treasury.core.command import Asked, Authorize, Command, Declare, Expire, VoidHold
from treasury.core.execution import HeldSpend
from treasury.core.known import Held
from treasury.core.lifecycle import IllegalTransition, lifecycle
from treasury.core.money import Money, major
from treasury.core.posting import payment
from treasury.core.resolution import allowed, refuse_unless_allowed
from treasury.core.workflow import Workflow
from treasury.errors import Refused

pytestmark = pytest.mark.requirement("TRE-02")

ID = UUID(new_id())
INTENT = an_intent(100)


def test_an_intent_and_its_hold_tell_who_they_are() -> None:
    assert INTENT.told() == {
        "intent_id": str(INTENT.id),
        "amount_cents": 100,
        "currency": "USD",
        "purpose": "tool_call",
        "payee": "bank",
        "principal": "scout",
    }
    spend = HeldSpend("approved", "placed", "unknown", 100, 30, INTENT.created_at)  # type: ignore[arg-type]
    held = Held(ID, INTENT.id, "decision", "gateway", spend, INTENT)
    assert held.told() == {
        "authorization_id": str(INTENT.id),
        "hold_id": str(ID),
        "decision_id": "decision",
    }
    assert spend.left_cents() == 70


@pytest.mark.requirement("TRE-13")
def test_a_command_says_what_no_other_of_its_batch_may_touch() -> None:
    warrant = a_warrant(INTENT, "authorize")
    assert a_command(Authorize(warrant, INTENT.id), "k").alone() == {
        ("acme", "intent", str(INTENT.id)),
        ("acme", "key", "k"),
        ("acme", "warrant", warrant.jti),
    }
    assert a_command(Declare(INTENT), "k").alone() == {
        ("acme", "intent", str(INTENT.id)),
        ("acme", "key", "k"),
    }
    assert a_command(VoidHold(ID), "k").alone() == {("acme", "hold", str(ID)), ("acme", "key", "k")}
    asked = Asked("gateway", "acme", "scout", "correlation", "/v1/x", "k", "r")
    assert Command.of(asked, VoidHold(ID)) == Command("acme", "correlation", VoidHold(ID), asked)
    assert Command("acme", "c", Expire(ID)).alone() == {("acme", "hold", str(ID))}


def test_a_table_is_what_was_written() -> None:
    table = lifecycle("door", born="open shut", open="shut", shut="open")
    assert table.moves == {"": {"open", "shut"}, "open": {"shut"}, "shut": {"open"}}
    assert table.pairs() == {
        ("door", "", "open"),
        ("door", "", "shut"),
        ("door", "open", "shut"),
        ("door", "shut", "open"),
    }
    with pytest.raises(IllegalTransition) as illegal:
        HOLD.step("expired", "captured")
    assert str(illegal.value) == 'hold cannot go from "expired" to "captured"'


@pytest.mark.requirement("TRE-08")
def test_a_payment_is_of_this_money_to_this_account() -> None:
    entry = payment("vendor:1", Money(7, "EUR"))
    assert (entry.debited, entry.credited, entry.money) == (
        "vendor:1",
        "tollhouse:operating",
        Money(7, "EUR"),
    )
    with pytest.raises(Refused) as refused:
        payment("tollhouse:other", Money(7, "EUR"))
    message = "accounts that begin with tollhouse: are the ledger's own"
    assert refused.value.code == "invalid"
    assert refused.value.detail == [{"loc": ["body", "recipient_account"], "message": message}]


@pytest.mark.requirement("TRE-14")
def test_money_is_written_exactly() -> None:
    written = [
        (1234, "USD", "12.34"),
        (-5, "USD", "-0.05"),
        (0, "USD", "0.00"),
        (7, "JPY", "7"),
        (-7, "JPY", "-7"),
        (1, "BHD", "0.001"),
    ]
    assert [major(cents, currency) for cents, currency, _ in written] == [text for _, _, text in written]
    assert str(Money(5, "USD")) == "0.05 USD"
    assert Money(5, "USD") + Money(7, "USD") == Money(12, "USD")
    with pytest.raises(ValueError, match=r"^USD and EUR do not add up$"):
        Money(5, "USD") + Money(7, "EUR")
    with pytest.raises(ValueError, match=r"^0 is no amount of 1 to 9007199254740991 minor units$"):
        Money(0, "USD")
    with pytest.raises(ValueError, match=r"^'XXXX' is not an ISO 4217 currency$"):
        Money(1, "XXXX")
    assert Money(2**53 - 1, "USD").amount_cents == 9_007_199_254_740_991


@pytest.mark.requirement("TRE-07")
def test_a_break_is_resolved_as_its_kind_allows() -> None:
    assert allowed("missing_in_ledger", executed=True) == {"accept"}
    assert allowed("missing_in_ledger", executed=False) == {"accept", "post"}
    with pytest.raises(Refused) as refused:
        refuse_unless_allowed("amount_differs", "post", executed=True)
    message = "a break of this kind is resolved by one of: accept, correct, reverse"
    assert refused.value.code == "invalid"
    assert refused.value.detail == [{"loc": ["body", "action"], "message": message}]


def test_a_workflow_is_read_from_its_row() -> None:
    assert Workflow.of(ID, "suspended", 5, "USD") == Workflow(ID, "suspended", Money(5, "USD"))
    assert Workflow.of(ID, "active", None, None) == Workflow(ID, "active", None)
