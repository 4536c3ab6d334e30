"""Lines of statements against spends, one case each: what is matched, settled or broken, whole."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from schemas.ids import digest, new_id
from treasury.core.reconciliation import Booked, Break, BreakKind, Executed, Line, Matching, Settlement, match

pytestmark = pytest.mark.requirement("TRE-07")

AT = datetime(2026, 3, 14, tzinfo=UTC)
HOLD, WORKFLOW = UUID(new_id()), UUID(new_id())
ONE, TWO = (Executed(UUID(new_id()), UUID(new_id()), cents) for cents in (30, 70))
NAME = "abc-intent"
NAMES = frozenset(
    {NAME, str(HOLD), *(str(name) for each in (ONE, TWO) for name in (each.id, each.journal_entry_id))}
)
SPEND = Booked(HOLD, WORKFLOW, NAMES, "USD", "captured", 0, (ONE, TWO), expected=True)
UNKNOWN = replace(SPEND, hold_status="unknown", left_cents=100, executions=())
LINE = Line(1, NAME, 100, "USD", AT, "txn-1")
ONE_MISSED = Break("missing_in_statement", str(ONE.id), 30, "USD", None, HOLD, (ONE.id,), 30)
TWO_MISSED = Break("missing_in_statement", str(TWO.id), 70, "USD", None, HOLD, (TWO.id,), 70)
HOLD_MISSED = Break("missing_in_statement", str(HOLD), 100, "USD", None, HOLD, (), 100)


def broken(
    kind: BreakKind,
    line: Line,
    about: tuple[Executed, ...] = (),
    ledger_cents: int | None = None,
    hold: UUID | None = HOLD,
) -> Break:
    ids = tuple(each.id for each in about)
    return Break(kind, line.reference, line.amount_cents, line.currency, line.number, hold, ids, ledger_cents)


def line(number: int = 1, **changes: object) -> Line:
    return replace(LINE, number=number, own_id=f"txn-{number}", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("spelling", [NAME, NAME.upper(), str(HOLD)], ids=["name", "capitals", "hold"])
def test_a_line_of_the_whole_is_matched_to_all_of_it(spelling: str) -> None:
    whole = line(reference=spelling)
    assert match([whole], [SPEND], frozenset()) == Matching([(whole, (ONE, TWO))])


def test_a_line_of_a_part_is_matched_to_the_part() -> None:
    first, second = line(1, amount_cents=70), line(2, amount_cents=30)
    assert match([first, second], [SPEND], frozenset()) == Matching([(first, (TWO,)), (second, (ONE,))])
    assert match([first], [SPEND], frozenset()) == Matching([(first, (TWO,))], breaks=[ONE_MISSED])


@pytest.mark.parametrize("name", [ONE.id, ONE.journal_entry_id])
def test_a_line_that_names_an_execution_is_about_it_alone(name: UUID) -> None:
    right, wrong = (
        line(reference=str(name).upper(), amount_cents=30),
        line(2, reference=str(name), amount_cents=70),
    )
    assert match([right], [SPEND], frozenset()) == Matching([(right, (ONE,))], breaks=[TWO_MISSED])
    differs = broken("amount_differs", wrong, (ONE,), 30)
    assert match([wrong], [SPEND], frozenset()) == Matching(breaks=[differs, TWO_MISSED])
    again = broken("duplicate_line", wrong)
    assert match([right, wrong], [SPEND], frozenset()) == Matching(
        [(right, (ONE,))], breaks=[again, TWO_MISSED]
    )


def test_what_differs_is_told_with_both_amounts() -> None:
    more, other = line(amount_cents=101), line(currency="EUR")
    assert match([more], [SPEND], frozenset()).breaks == [broken("amount_differs", more, (ONE, TWO), 100)]
    assert match([other], [SPEND], frozenset()).breaks == [broken("currency_differs", other, (ONE, TWO), 100)]


def test_the_same_line_twice_is_a_duplicate() -> None:
    again = replace(LINE, number=2)
    assert match([LINE, again], [SPEND], frozenset()) == Matching(
        [(LINE, (ONE, TWO))], breaks=[broken("duplicate_line", again)]
    )
    other = line(2)
    assert match([LINE, other], [SPEND], frozenset()).breaks == [broken("duplicate_line", other)]


def test_a_line_of_nothing_we_know_is_missing_here() -> None:
    stranger = line(reference="nobody")
    again = replace(stranger, number=2)
    expected = [
        broken("missing_in_ledger", stranger, hold=None),
        broken("duplicate_line", again, hold=None),
    ]
    assert match([stranger, again], [], frozenset()) == Matching(breaks=expected)


@pytest.mark.parametrize(
    ("spend", "kind"),
    [
        (replace(SPEND, executions=(), hold_status="voided", expected=False), "missing_in_ledger"),
        (replace(SPEND, executions=(), was_matched=True), "duplicate_line"),
    ],
)
def test_a_line_of_a_spend_without_open_executions(spend: Booked, kind: BreakKind) -> None:
    assert match([LINE], [spend], frozenset()) == Matching(breaks=[broken(kind, LINE)])


def test_what_the_statement_does_not_list_is_missing_there() -> None:
    assert match([], [SPEND], frozenset()) == Matching(breaks=[ONE_MISSED, TWO_MISSED])
    assert match([], [UNKNOWN], frozenset()) == Matching(breaks=[HOLD_MISSED])
    for spend in (SPEND, UNKNOWN):
        assert match([], [replace(spend, expected=False)], frozenset()) == Matching()


@pytest.mark.parametrize("cents", [1, 100])
def test_a_line_settles_an_unknown_outcome_once(cents: int) -> None:
    used, again = line(amount_cents=cents), line(2, amount_cents=cents)
    settled = [Settlement(HOLD, WORKFLOW, used)]
    assert match([used], [UNKNOWN], frozenset()) == Matching(settled=settled)
    assert match([used, again], [UNKNOWN], frozenset()) == Matching(
        settled=settled, breaks=[broken("duplicate_line", again)]
    )


def test_a_line_that_does_not_fit_settles_nothing() -> None:
    more, other = line(amount_cents=101), line(currency="EUR")
    assert match([more], [UNKNOWN], frozenset()) == Matching(breaks=[broken("amount_differs", more, (), 100)])
    assert match([other], [UNKNOWN], frozenset()) == Matching(
        breaks=[broken("currency_differs", other, (), 100)]
    )


@pytest.mark.parametrize("spend", [SPEND, UNKNOWN])
def test_a_line_of_an_earlier_statement_is_passed_over(spend: Booked) -> None:
    for known in (LINE, replace(LINE, own_id=None)):
        assert match([known], [spend], frozenset({known.identity()})) == Matching(repeated=1)
    vague = replace(LINE, own_id=None, at=None)
    kept = [broken("duplicate_line", vague)]
    missed = [HOLD_MISSED] if spend is UNKNOWN else [ONE_MISSED, TWO_MISSED]
    assert match([vague], [spend], frozenset({vague.identity()})) == Matching(breaks=kept + missed)
    assert match([LINE], [], frozenset({LINE.identity()})) == Matching(repeated=1)


def test_a_line_is_the_same_by_its_id_or_by_all_that_it_says() -> None:
    """What was kept of earlier statements is found again: the digests never change."""
    assert LINE.identity() == digest(["id", "txn-1"])
    by_all = replace(LINE, own_id=None)
    assert by_all.identity() == digest([NAME, 100, "USD", AT.timestamp()])
    assert replace(by_all, at=None).identity() == digest([NAME, 100, "USD", None])
