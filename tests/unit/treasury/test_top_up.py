"""What a provider's event must say to be credited, and where it does not."""

from typing import Any
from uuid import UUID

import pytest

from treasury.core.money import Money
from treasury.core.posting import OPERATING, JournalEntry
from treasury.core.top_up import TopUp, read, standing_workflow
from treasury.errors import Refused

pytestmark = pytest.mark.requirement("TRE-16")

NAME = "must be a text of 1 to 200 characters"
META = ["body", "data", "object", "metadata"]


def event(paid: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    metadata = {"tollhouse_budget": "agent:scout", "tollhouse_tenant": "acme"}
    known = {"id": "pi_1", "amount_received": 500, "currency": "usd", "metadata": metadata}
    told = {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": known | (paid or {})}}
    return told | changes


def test_a_payment_is_credited_as_it_says() -> None:
    top_up = read("stripe", ["acme", "globex"], event())
    assert top_up == TopUp("stripe", "evt_1", "pi_1", "acme", "agent:scout", Money(500, "USD"))
    assert top_up.entry() == JournalEntry(OPERATING, "tollhouse:top-ups:stripe", Money(500, "USD"))
    assert top_up.workflow_id == standing_workflow("acme", "agent:scout")
    assert top_up.workflow_id == UUID("3ef19101-437d-5c44-bfd0-7cdfac4d3d8d")


def test_the_only_tenant_needs_no_name_and_other_events_credit_nothing() -> None:
    top_up = read("stripe", ["acme"], event({"metadata": {"tollhouse_budget": "b" * 200}}))
    assert top_up is not None
    assert (top_up.tenant, top_up.budget_key) == ("acme", "b" * 200)
    assert read("stripe", ["acme"], {"type": "payment_intent.created"}) is None


@pytest.mark.parametrize(
    ("told", "loc", "message"),
    [
        ([], ["body", "body"], "must be an object"),
        (event(data=1), ["body", "data"], "must be an object"),
        (event(data={}), ["body", "data", "object"], "must be an object"),
        (event({"metadata": None}), META, "must be an object"),
        (
            event({"metadata": {}}),
            [*META, "tollhouse_tenant"],
            "the provider may not credit this tenant",
        ),
        (
            event({"metadata": {"tollhouse_tenant": 1}}),
            [*META, "tollhouse_tenant"],
            "the provider may not credit this tenant",
        ),
        (event({"metadata": {"tollhouse_tenant": "acme"}}), [*META, "tollhouse_budget"], NAME),
        (event(id=""), ["body", "id"], NAME),
        (event(id="x" * 201), ["body", "id"], NAME),
        (event({"id": None}), ["body", "data", "object", "id"], NAME),
        (
            event({"amount_received": 0}),
            ["body", "data", "object", "amount_received"],
            "0 is no amount of 1 to 9007199254740991 minor units",
        ),
        (
            event({"currency": None}),
            ["body", "data", "object", "amount_received"],
            "'NONE' is not an ISO 4217 currency",
        ),
    ],
)
def test_what_is_missing_is_told_with_its_place(told: Any, loc: list[str], message: str) -> None:
    with pytest.raises(Refused) as refused:
        read("stripe", ["acme", "globex"], told)
    assert refused.value.code == "invalid"
    assert refused.value.detail == [{"loc": loc, "message": message}]
