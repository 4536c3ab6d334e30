"""What is wrong with a document, told by file, line and column.

A document is refused with every problem at once, in the order of its lines:

    policy.yaml:12:5: roles.executor.tools[2].price.fixed_cents: must be a whole number of cents, got 1.5

The wording of pydantic's errors is here, because a person who wrote YAML should not have to know pydantic.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tollhouse import currency_words

SHOWN_CHARS_MAX: Final = 60
_PLAIN: Final = re.compile(r"[^\s.'\"\[\]]+")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. Line and column count from 1; both are 0 where the file as a whole is meant."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.text}"


class DocumentError(Exception):
    """The document is not usable; `problems` says all that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


def dotted(path: Path) -> str:
    """`roles.executor.tools[2].price`: the path as a person would write it; a name with dots is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _PLAIN.fullmatch(part) else repr(part)
            text += f".{name}" if text else name
    return text


def shown(value: Any) -> str:
    """A value as the document's author wrote it, cut to a readable length."""
    match value:
        case None:
            text = "nothing"
        case bool():
            text = str(value).lower()
        case str():
            text = repr(value)
        case dict():
            text = "a mapping"
        case list():
            text = "a list"
        case _:
            text = str(value)
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"


_EXPECTED: Final[dict[str, str]] = {
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "dict_type": "must be a mapping",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "model_attributes_type": "must be a mapping",
    "model_type": "must be a mapping",
    "path_type": "must be a path",
    "string_type": "must be text (put it in quotes)",
    "tuple_type": "must be a list",
}
_NO_CURRENCY: Final = frozenset({"string_too_long", "string_too_short", "value_error"})
_WHOLE_NUMBER: Final = frozenset({"int_type", "int_from_float", "int_parsing"})


_COUNTED: Final = {"string_too_": "character", "too_": "member"}
"""What is counted in a value that is too short or too long, by how pydantic's word for it begins."""


def wording(kind: str, message: str, context: Mapping[str, Any], path: Path, value: Any) -> str:
    """One pydantic error in words: what the value must be, and what it is."""
    if kind == "missing":
        return "is missing"
    if path[-1:] == ("currency",) and kind in _NO_CURRENCY:
        return f"must be an ISO 4217 code such as USD, got {shown(value)}{currency_words.meant(value)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _WHOLE_NUMBER:
        cents = " of cents" if str(path[-1]).endswith("_cents") else ""
        return f"must be a whole number{cents}, got {shown(value)}"
    if bounds := _bounds(kind, context):
        got = len(value) if isinstance(value, list | dict) else shown(value)
        return f"{bounds}, got {got}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, got {shown(value)}"
    expected = _EXPECTED.get(kind)
    if expected is None:
        expected = message.removeprefix("Input should be ")
        expected = expected if expected is message else f"must be {expected}"
    return f"{expected}, got {shown(value)}"


def _bounds(kind: str, context: Mapping[str, Any]) -> str:
    """How much there must be in a value; nothing where another mistake is meant."""
    counted = next((what for begins, what in _COUNTED.items() if kind.startswith(begins)), None)
    word, key = ("least", "min_length") if kind.endswith("short") else ("most", "max_length")
    if counted is None or key not in context:
        return ""
    bound = context[key]
    return f"must have at {word} {bound} {counted}{'' if bound == 1 else 's'}"
