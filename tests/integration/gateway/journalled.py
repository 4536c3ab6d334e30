"""Journals for tests: their records, and what is found in them."""

from pathlib import Path
from typing import Any, Literal

from gateway.core.record import Entry
from gateway.core.settle import Settlement
from gateway.edge import journal_reading
from gateway.edge.journal import Journal
from schemas.ids import canonical, new_id

Kind = Literal["decided", "completed"]
BOTH: tuple[Kind, ...] = ("decided", "completed")
DUE = Settlement("hold-1", "unknown", "acme", "scout", "c", 500, "bank")


def entry(decision_id: str = "d", event: Kind = "decided", **more: Any) -> Entry:
    """A record with as much in it as the journal itself reads; `allow` is true unless it is given."""
    record = {"decision_id": decision_id, "tenant": "acme", "workflow_id": "w", "correlation_id": "c"}
    record |= {"at": "2026-01-01T00:00:00.000Z", "hold_id": "h"}
    allow = more.pop("allow", True)
    own = {"principal": {"id": "scout"}, "allow": allow} if event == "decided" else {"outcome": "succeeded"}
    written = canonical(record | own | more.pop("record", {}))
    return Entry(decision_id, event, written, goes_on=event == "decided" and allow)._replace(**more)


def made_at(ms: int) -> str:
    """An id of a decision that was made then."""
    digits = f"{ms:012x}"
    return f"{digits[:8]}-{digits[8:]}{new_id()[13:]}"


def opened(folder: Path, **more: Any) -> Journal:
    known: dict[str, Any] = {"sync": "fsync", "timeout_s": 5.0, "queue_max": 1_000}
    journal = Journal(folder, **(known | more))
    journal.open()
    return journal


def found(path: Path, decision_id: str) -> dict[str, Any]:
    return journal_reading.find(path, decision_id, "acme", "scout")


def count(path: Path) -> int:
    return len(journal_reading.unshipped(path, 999))


def replace_due(decided: Entry, due: Settlement) -> Entry:
    return decided._replace(event="completed", due=due)
