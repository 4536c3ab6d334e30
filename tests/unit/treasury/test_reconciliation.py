"""Matching with values: nothing is matched twice, every line and every missed execution is accounted for."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury.core.reconciliation import Booked, Executed, Line, match
from treasury.core.resolution import allowed, refuse_unless_allowed
from treasury.errors import Refused

pytestmark = pytest.mark.requirement("TRE-07")


def uid(number: int) -> UUID:
    return UUID(int=number)


def spend(number: int, *amounts_cents: int, status: str = "captured", expected: bool = True) -> Booked:
    executions = tuple(
        Executed(uid(number * 100 + part), uid(number * 100 + 50 + part), amount_cents)
        for part, amount_cents in enumerate(amounts_cents)
    )
    names = [
        f"spend-{number}",
        *(str(x.id) for x in executions),
        *(str(x.journal_entry_id) for x in executions),
    ]
    return Booked(uid(number), uid(900), frozenset(names), "USD", status, 10, executions, expected=expected)


LINES = st.builds(
    Line,
    number=st.just(1),
    reference=st.sampled_from(["spend-1", "SPEND-2", "spend-3", str(uid(100)), str(uid(150)), "nobody"]),
    amount_cents=st.integers(1, 8),
    currency=st.sampled_from(["USD", "EUR"]),
    own_id=st.none() | st.sampled_from("abcdefgh"),
)
SPENDS = st.tuples(
    st.lists(st.integers(1, 4), max_size=3), st.sampled_from(["captured", "unknown", "voided"]), st.booleans()
)


@given(st.lists(LINES, max_size=12), st.lists(SPENDS, max_size=3), st.sets(st.sampled_from("abcdefgh")))
def test_everything_is_accounted_for_once(
    lines: list[Line], spends: list[tuple[list[int], str, bool]], seen: set[str]
) -> None:
    booked = [
        spend(number, *amounts, status=status, expected=expected)
        for number, (amounts, status, expected) in enumerate(spends, start=1)
    ]
    earlier = frozenset(Line(1, "x", 1, "USD", own_id=own_id).identity() for own_id in seen)
    found = match(lines, booked, earlier)
    told = [broken for broken in found.breaks if broken.line_number is not None]
    assert len(found.matched) + len(found.settled) + len(told) + found.repeated == len(lines)
    used = [x.id for _, executions in found.matched for x in executions]
    used += [id_ for broken in found.breaks for id_ in broken.execution_ids]
    assert len(used) == len(set(used))
    assert all(
        sum(x.amount_cents for x in executions) == line.amount_cents for line, executions in found.matched
    )
    settled = [settlement.hold_id for settlement in found.settled]
    assert len(settled) == len(set(settled))
    if not found.repeated:
        expected = {x.id for b in booked if b.expected for x in b.executions}
        assert expected <= set(used)


def test_a_line_that_names_an_execution_is_about_that_one() -> None:
    booked = spend(1, 3, 5)
    found = match([Line(1, str(uid(101)), 3, "USD")], [booked], frozenset())
    assert [(broken.kind, broken.ledger_cents) for broken in found.breaks] == [
        ("amount_differs", 5),
        ("missing_in_statement", 3),
    ]


@pytest.mark.parametrize(
    ("kind", "executed", "action"),
    [
        ("missing_in_ledger", False, "reverse"),
        ("missing_in_ledger", False, "void"),
        ("missing_in_statement", True, "capture"),
        ("missing_in_statement", False, "accept"),
        ("duplicate_line", True, "post"),
        ("amount_differs", False, "correct"),
    ],
)
def test_a_break_is_resolved_as_its_kind_allows(kind: str, executed: bool, action: str) -> None:
    with pytest.raises(Refused):
        refuse_unless_allowed(kind, action, executed=executed)  # type: ignore[arg-type]
    assert allowed(kind, executed=executed)  # type: ignore[arg-type]
