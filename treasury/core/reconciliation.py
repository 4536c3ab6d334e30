"""Reconciliation: what a provider says it was paid, held against what the ledger says was executed.

A statement's line names a spend by one of our ids (hold, authorization, intent, decision, execution or
journal entry). It is matched to what was executed for that spend and never matched before: to one
execution of its amount, or to all of them together. Whatever does not fit is a break:

    missing_in_ledger     the provider was paid for something that was never executed here
    missing_in_statement  we executed (or still hold, outcome unknown) what the provider does not list
    amount_differs        both know it, with different amounts
    currency_differs      both know it, in different currencies
    duplicate_line        the provider lists the same twice

A line for a hold whose outcome is unknown tells the outcome: the tool has acted, and the hold is captured.
A line that an earlier statement had is known by its own id, or else by all that it says; it is passed over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from schemas.ids import digest

BreakKind = Literal[
    "missing_in_ledger", "missing_in_statement", "amount_differs", "currency_differs", "duplicate_line"
]


@dataclass(frozen=True, slots=True)
class Line:
    """One charge of a provider. `number` is its place in the statement; `own_id` the provider's id of it."""

    number: int
    reference: str
    amount_cents: int
    currency: str
    at: datetime | None = None
    own_id: str | None = None

    @property
    def is_distinct(self) -> bool:
        """Whether the same line in two statements is surely the same charge."""
        return self.own_id is not None or self.at is not None

    def identity(self) -> str:
        """What makes it the same line wherever it stands."""
        if self.own_id is not None:
            return digest(["id", self.own_id])
        at = self.at.timestamp() if self.at else None
        return digest([self.reference, self.amount_cents, self.currency, at])


@dataclass(frozen=True, slots=True)
class Executed:
    """An execution that no line was matched to yet."""

    id: UUID
    journal_entry_id: UUID
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Booked:
    """A spend as the ledger has it; `left_cents` is what is still held.

    `executions` are those never matched; `was_matched` tells that there were others, `expected` that the
    statement must list it.
    """

    hold_id: UUID
    workflow_id: UUID
    names: frozenset[str]
    currency: str
    hold_status: str
    left_cents: int
    executions: tuple[Executed, ...] = ()
    was_matched: bool = False
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Break:
    """A difference. `amount_cents` is the statement's, or the ledger's where the statement has none."""

    kind: BreakKind
    reference: str
    amount_cents: int
    currency: str
    line_number: int | None = None
    hold_id: UUID | None = None
    execution_ids: tuple[UUID, ...] = ()
    ledger_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """A hold of unknown outcome that a line says was used."""

    hold_id: UUID
    workflow_id: UUID
    line: Line


@dataclass(slots=True)
class Matching:
    """What became of the lines. `repeated` were in an earlier statement."""

    matched: list[tuple[Line, tuple[Executed, ...]]] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    repeated: int = 0


def match(lines: Sequence[Line], booked: Iterable[Booked], earlier: frozenset[str]) -> Matching:
    """Match each line in its order; `earlier` has the identities of the lines of earlier statements."""
    spends = tuple(booked)
    matcher = _Matcher({name: spend for spend in spends for name in spend.names}, earlier)
    for line in lines:
        matcher.take(line)
    for spend in spends:
        matcher.miss(spend)
    return matcher.found


class _Matcher:
    """What was seen and used up so far."""

    def __init__(self, by_name: Mapping[str, Booked], earlier: frozenset[str]) -> None:
        self.found = Matching()
        self._by_name = by_name
        self._earlier = earlier
        self._seen: set[str] = set()
        self._used: set[UUID] = set()

    def take(self, line: Line) -> None:
        identity = line.identity()
        spend = self._by_name.get(line.reference.lower())
        if identity in self._seen:
            self._break("duplicate_line", line, spend)
        elif identity in self._earlier:
            self._take_again(line, spend)
        elif spend is None:
            self._break("missing_in_ledger", line, None)
        else:
            self._take_known(line, spend)
        self._seen.add(identity)

    def miss(self, spend: Booked) -> None:
        """What a statement that covers this spend should have listed and did not."""
        if not spend.expected:
            return
        for execution in self._open(spend):
            self._miss(spend, execution.amount_cents, str(execution.id), (execution.id,))
        if spend.hold_status == "unknown" and spend.hold_id not in self._used:
            self._miss(spend, spend.left_cents, str(spend.hold_id), ())

    def _take_again(self, line: Line, spend: Booked | None) -> None:
        if line.is_distinct:
            self.found.repeated += 1
            self._used.update(self._all_of(spend))
        else:
            self._break("duplicate_line", line, spend)

    def _take_known(self, line: Line, spend: Booked) -> None:
        candidates = self._named(line, spend)
        if not candidates:
            self._take_unexecuted(line, spend)
            return
        ledger_cents = sum(execution.amount_cents for execution in candidates)
        if line.currency != spend.currency:
            self._differ("currency_differs", line, spend, candidates, ledger_cents)
            return
        fitting = _fitting(line.amount_cents, candidates, ledger_cents)
        if fitting:
            self._used.update(execution.id for execution in fitting)
            self.found.matched.append((line, fitting))
        else:
            self._differ("amount_differs", line, spend, candidates, ledger_cents)

    def _take_unexecuted(self, line: Line, spend: Booked) -> None:
        if spend.hold_status == "unknown" and spend.hold_id not in self._used:
            self._used.add(spend.hold_id)
            if line.currency != spend.currency:
                self._differ("currency_differs", line, spend, (), spend.left_cents)
            elif line.amount_cents > spend.left_cents:
                self._differ("amount_differs", line, spend, (), spend.left_cents)
            else:
                self.found.settled.append(Settlement(spend.hold_id, spend.workflow_id, line))
        elif spend.was_matched or spend.executions or spend.hold_id in self._used:
            self._break("duplicate_line", line, spend)
        else:
            self._break("missing_in_ledger", line, spend)

    def _named(self, line: Line, spend: Booked) -> tuple[Executed, ...]:
        """What the line may be about: the execution that it names, else all of the spend that are open."""
        reference = line.reference.lower()
        candidates = self._open(spend)
        exact = tuple(x for x in candidates if reference in (str(x.id), str(x.journal_entry_id)))
        names_one = any(reference in (str(x.id), str(x.journal_entry_id)) for x in spend.executions)
        return exact if names_one else candidates

    def _open(self, spend: Booked) -> tuple[Executed, ...]:
        return tuple(execution for execution in spend.executions if execution.id not in self._used)

    def _all_of(self, spend: Booked | None) -> set[UUID]:
        return {spend.hold_id, *(execution.id for execution in spend.executions)} if spend else set()

    def _differ(
        self, kind: BreakKind, line: Line, spend: Booked, about: tuple[Executed, ...], ledger_cents: int
    ) -> None:
        ids = tuple(execution.id for execution in about)
        self._used.update(ids)
        self._break(kind, line, spend, ids, ledger_cents)

    def _break(
        self,
        kind: BreakKind,
        line: Line,
        spend: Booked | None,
        execution_ids: tuple[UUID, ...] = (),
        ledger_cents: int | None = None,
    ) -> None:
        hold_id = spend.hold_id if spend else None
        self.found.breaks.append(
            Break(
                kind,
                line.reference,
                line.amount_cents,
                line.currency,
                line.number,
                hold_id,
                execution_ids,
                ledger_cents,
            )
        )

    def _miss(
        self, spend: Booked, amount_cents: int, reference: str, execution_ids: tuple[UUID, ...]
    ) -> None:
        self.found.breaks.append(
            Break(
                "missing_in_statement",
                reference,
                amount_cents,
                spend.currency,
                None,
                spend.hold_id,
                execution_ids,
                amount_cents,
            )
        )


def _fitting(
    amount_cents: int, candidates: tuple[Executed, ...], ledger_cents: int
) -> tuple[Executed, ...] | None:
    """One execution of exactly this amount, else all of them where they add up to it."""
    for execution in candidates:
        if execution.amount_cents == amount_cents:
            return (execution,)
    return candidates if ledger_cents == amount_cents else None
