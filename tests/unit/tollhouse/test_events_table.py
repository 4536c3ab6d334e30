"""Events and dead letters in as many columns as there are."""

import pytest

from tollhouse.events_table import Row, write_table

pytestmark = pytest.mark.requirement("EVT-04")

WORKFLOW, EVENT_ID = "01a1fe0b-a937-7079-8b43-bf85deb7a7ef", "01a1fe0b-a93e-72a2-a97d-a3b7755b80ca"
EVENT = {
    "place": 12345,
    "at": "2026-11-21T23:43:44.123Z",
    "type": "treasury.break_resolved",
    "tenant": "acme",
    "workflow_id": WORKFLOW,
    "event_id": EVENT_ID,
}
LETTER = {
    "id": 3,
    "at": "2026-11-21T23:43:44+00:00",
    "consumer": "recorder",
    "subject": "gateway.decided",
    "reason": "no event \x1b[31m",
    "body": "{" * 200,
}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Shown":
    return Shown(monkeypatch, capsys)


class Shown:
    """The lines of a table; without a number of columns as a file has them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, rows: list[Row], columns: int | None) -> list[str]:
        if columns is None:
            self._monkeypatch.delenv("COLUMNS", raising=False)
        else:
            self._monkeypatch.setenv("COLUMNS", str(columns))
        write_table(rows)
        return self._capsys.readouterr().out.splitlines()


def test_eighty_columns_take_an_event_in_one_line(shown: Shown) -> None:
    head, *lines = shown([EVENT, EVENT], 80)
    assert head.split() == ["place", "at", "(UTC)", "type", "tenant", "workflow"]
    told = ["12345", "2026-11-21", "23:43:44", "treasury.break_resolved", "acme", "…bf85deb7a7ef"]
    assert [line.split() for line in lines] == [told, told]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("columns", [200, None])
def test_where_there_is_room_ids_are_whole(shown: Shown, columns: int | None) -> None:
    _head, line = shown([EVENT], columns)
    assert line.split()[-3:] == ["acme", WORKFLOW, EVENT_ID]


def test_eighty_columns_take_a_letter_in_lines_of_its_own(shown: Shown) -> None:
    about, reason, body = shown([LETTER], 80)
    assert about == "3  2026-11-21 23:43:44  recorder  gateway.decided"
    assert reason == "  reason: no event ?[31m"
    assert body == f"  body: {'{' * 71}…"


def test_a_file_has_a_letter_in_one_line(shown: Shown) -> None:
    _head, line = shown([LETTER], None)
    assert line.rstrip().endswith("{" * 200)


def test_no_word_becomes_a_picture(shown: Shown) -> None:
    """An agent may be called so."""
    odd = ":skull: [bold]x[/]"
    assert odd in shown([EVENT | {"tenant": odd}], 200)[1]
    assert shown([LETTER | {"reason": odd}], 80)[1] == f"  reason: {odd}"


@pytest.mark.parametrize("columns", [80, 10, 1, None])
def test_nothing_is_told(shown: Shown, columns: int | None) -> None:
    assert "".join(shown([], columns)).replace(" ", "") == "nothingisthere"
