"""Rows of the ledger as people read them."""

from pathlib import Path

import pytest

from tollhouse.ledger_rows import Form, write

pytestmark = pytest.mark.requirement("TRE-20")

ODD = "vendor:skull: [bold]x[/bold]"


def test_no_word_becomes_a_picture_or_a_colour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent chose the name of the account."""
    rows = [{"account": ODD, "balance": "3.00"}]
    write(rows, Form.table, None, dict)
    write(rows, Form.table, tmp_path / "file", dict)
    assert ODD in capsys.readouterr().out
    assert ODD in (tmp_path / "file").read_text()
