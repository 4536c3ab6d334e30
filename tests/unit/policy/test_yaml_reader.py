"""Strict YAML: what is refused, where it stands, and how a model's errors are told."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tollhouse.problems import DocumentError
from tollhouse.yaml_reader import DEPTH_MAX, SIZE_BYTES_MAX, Document, as_model, parse, read_model

pytestmark = pytest.mark.requirement("OPS-04")


def refusal(text: str | bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(text.encode() if isinstance(text, str) else text, "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", 1),
        ("a: -7", -7),
        ("a: 0.10", Decimal("0.10")),
        ("a: 1e3", Decimal("1E+3")),
        ("a: true", True),
        ("a: null", None),
        ("a:", None),
        ("a: no", "no"),
        ("a: on", "on"),
        ("a: '1'", "1"),
        ("a: 12:30:45", "12:30:45"),
        ("a: 0x1F", "0x1F"),
        ("a: 0o17", "0o17"),
        ("a: 1_000", "1_000"),
        ("a: 2026-01-01", "2026-01-01"),
        ("a: .inf", ".inf"),
        ("a: bank.*", "bank.*"),
        ('a: "x\\ty"', "x\ty"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    read = parse(text.encode(), "f.yaml").value["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2", "f.yaml:2:1: the key 'a' stands twice in one mapping"),
        ("a: {b: 1, b: 2}", "f.yaml:1:11: the key 'b' stands twice"),
        ("a: &x 1", "f.yaml:1:4: anchors and aliases are not allowed"),
        ("a: *x", "f.yaml:1:4: anchors and aliases are not allowed"),
        ("a: !!str 1", "f.yaml:1:4: the tag"),
        ("a:\n\tb: 1", "f.yaml:2:1: a tab"),
        ('a: "\\ud800"', "f.yaml:1:4: half a character"),
        ("a: 007", "f.yaml:1:4: 007: readers disagree about a leading zero"),
        ("1: x", "f.yaml:1:1: a key must be text"),
        ("[a]: x", "f.yaml:1:1: a key must be text"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document begins here: a file has one"),
        ("", "f.yaml:1:1: the document is empty"),
        ("a: [1", "f.yaml:1:6:"),
        (b"a: 1\nb: \xff", "f.yaml:2:4: not UTF-8"),
        ("\ufeffa: 1", "f.yaml:1:1: the character '\\ufeff'"),
        ("a: \x00", "f.yaml:1:4: the character '\\x00'"),
        (f"a: {2**70}", "f.yaml:1:4: the number 1180591620717411303424 is out of range"),
        (f"a: 1.{'1' * 80}", "is out of range"),
        ("a: " + "[" * (DEPTH_MAX + 1), f"nested deeper than {DEPTH_MAX} levels"),
        ("#" * (SIZE_BYTES_MAX + 1), f"larger than {SIZE_BYTES_MAX} bytes"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(text: str | bytes, told: str) -> None:
    assert told in refusal(text)


INDENTED = "the indentation is wrong: all "
ENDED = "the value before this has ended: put all of it in quotes"
DIRECTIVE = "a line that begins with % or ... has no place in this file: remove it"
NO_KEY = "no key can stand here: the line is indented too far"


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n  b: 1\n c: 2", f"3:2: {INDENTED}keys of one mapping"),
        ("a:\n    b: 1\n  c: 2", f"3:3: {INDENTED}keys of one mapping"),
        ("a:\n  - b\n - c", f"3:2: {INDENTED}lines of one list"),
        ("a:\n  b: 1\n  - c", f"3:3: {INDENTED}lines of one list or mapping"),
        ("a:\n  - x\n  b: 1", "3:3: a key stands where an item of a list is expected"),
        ("a: 1\n b: 2", f"2:3: {NO_KEY}"),
        ("a: b: c", f"1:5: {NO_KEY}"),
        ("a: 1\nb\nc: 2", "2:1: a key wants ': ' behind it"),
        ("a: - b", "1:4: a list begins on a line of its own"),
        ("a: [1, 2\nb: 3", "2:2: ',' or ']' is missing in the list that begins at line 1"),
        ("a:\n  {b: 1\nc: 2", "3:2: ',' or '}' is missing in the mapping that begins at line 2"),
        ("a: 'x\nb: 1", "1:4: the text in quotes that begins here does not end"),
        ("a: 'x' y", "1:8: text behind a text in quotes: put all of it in quotes"),
        ("a: 'it''s' {x}", f"1:12: {ENDED}"),
        ("- 'x' [y]", f"1:7: {ENDED}"),
        ("a: [b] {c}", f"1:8: {ENDED}"),
        ("a: 'x' *y", f"1:8: {ENDED}"),
        ("a: 'x' ? y", f"1:8: {ENDED}"),
        ('a: "\\xzz"', "1:7: this escape in double quotes wants 2 hexadecimal digits"),
        ("%YAML 9.9\n---\na: 1", f"1:1: {DIRECTIVE}"),
        ("%YAML x\n---\na: 1", f"1:7: {DIRECTIVE}"),
        ("%YAML 1.1\n%YAML 1.1\n---\na: 1", f"2:1: {DIRECTIVE}"),
        ("%YAML 1.1\na: 1", f"2:1: {DIRECTIVE}"),
        ("--- a\n... b", f"2:5: {DIRECTIVE}"),
        ("a: [1]]", "1:7: ] does not belong here"),
        ("a: @x", "1:4: a text cannot begin with @: put it in quotes"),
        ('a: "\\q"', "1:6: \\q is no escape in double quotes: write \\\\q, or use single quotes"),
        ("a: |x\n  y", "1:5: behind | or > nothing may stand but - or + and a number"),
        ("a: !<x", "1:7: this is no YAML: while parsing a tag"),
    ],
)
def test_what_is_no_yaml_is_told_in_plain_words_where_it_is(text: str, told: str) -> None:
    assert refusal(text).startswith(f"f.yaml:{told}")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Price(Strict):
    fixed_cents: int = 0
    share: Decimal | None = None


class Tool(Strict):
    name: str
    price: Price | None = None


class Settings(Strict):
    tools: list[str | Tool] = []
    by_name: dict[str, Tool] = {}
    paths: tuple[Path, ...] = ()
    on: bool = False
    mode: Literal["a", "b"] = "a"
    port: int = Field(default=1, ge=1)
    even: int = 0

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        as_model(parse(text.encode(), "f.yaml"), Settings)
    return [str(problem) for problem in caught.value.problems]


def test_a_model_is_read_with_exact_decimals() -> None:
    text = b"tools: [x, {name: y, price: {share: 0.10}}]\npaths: [a/b]\non: true"
    settings = as_model(parse(text, "f.yaml"), Settings)
    tool = settings.tools[1]
    assert isinstance(tool, Tool)
    assert tool.price is not None
    assert tool.price.share == Decimal("0.10")
    assert settings.paths == (Path("a/b"),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "by_name:\n  x:\n    name: y\n    price:\n      fixed_cents: 1.5",
            "f.yaml:5:20: by_name.x.price.fixed_cents: must be a whole number of cents, got 1.5",
        ),
        ("by_name: {x: {}}", "f.yaml:1:14: by_name.x.name: is missing"),
        (
            "by_name: {x: {name: y, pirce: 1}}",
            "f.yaml:1:24: by_name.x.pirce: unknown key; allowed here: name, price; did you mean price?",
        ),
        ("port: eighty", "f.yaml:1:7: port: must be a whole number, got 'eighty'"),
        ("port: 0", "f.yaml:1:7: port: must be greater than or equal to 1, got 0"),
        ("on: yes", "f.yaml:1:5: on: must be true or false, got 'yes'"),
        ("mode: c", "f.yaml:1:7: mode: must be 'a' or 'b', got 'c'"),
        ("even: 3", "f.yaml:1:7: even: 3 is odd"),
        ("by_name: [x]", "f.yaml:1:10: by_name: must be a mapping, got a list"),
        ("by_name: {x: y}", "f.yaml:1:14: by_name.x: must be a mapping, got 'y'"),
        ("paths: x", "f.yaml:1:8: paths: must be a list, got 'x'"),
        ("- x", "f.yaml:1:1: must be a mapping, got a list"),
    ],
)
def test_a_model_error_is_told_with_its_place(text: str, told: str) -> None:
    assert told in problems(text)


def test_all_problems_come_at_once_in_the_order_of_lines() -> None:
    assert [each.split(":")[1] for each in problems("on: 1\nport: x\nodd: 1")] == ["1", "2", "3"]


def test_an_error_inside_one_branch_of_a_union_is_told_alone() -> None:
    assert problems("tools: [{name: x, price: {cents: 1}}]") == [
        "f.yaml:1:27: tools[0].price.cents: unknown key; allowed here: fixed_cents, share"
    ]


@pytest.mark.parametrize("number", ["1.0000000000000001", "1e16", "1e-16", "-0.12e-20"])
def test_a_fraction_that_readers_hold_differently_is_refused(number: str) -> None:
    assert problems(f"even: {number}") == [f"f.yaml:1:7: the number {number} is out of range"]


def test_what_yaml_cannot_hold_is_no_document() -> None:
    with pytest.raises(TypeError):
        as_model(Document("f.yaml", {"mode": object()}), Settings)


def test_a_file_that_cannot_be_read_is_a_document_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"absent\.yaml: there is no such file$"):
        read_model(tmp_path / "absent.yaml", Settings)
