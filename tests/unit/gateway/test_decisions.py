"""What is left of a decision when its call outlived the journal's retention: nothing that may be told."""

from pathlib import Path

import pytest

from gateway.core.identify import Principal
from gateway.core.record import Entry
from gateway.edge import decisions
from gateway.edge.journal_file import JournalFile

SCOUT = Principal("scout", "executor", "acme", "api_key")


@pytest.mark.requirement("AUD-02")
def test_an_outcome_without_its_decision_is_no_decision(tmp_path: Path) -> None:
    file = JournalFile(tmp_path / "journal-0.sqlite", "os")
    file.open()
    record = b'{"decision_id":"d","outcome":"succeeded","tenant":"acme"}'
    file.write([Entry("d", "completed", record)], 1)
    file.close()
    assert decisions._look_up(tmp_path, "d", SCOUT) is None
