"""One argument's rule: which values a tool may be called with.

Numbers are whole or exact decimals; lengths count characters; a pattern is RE2, found anywhere unless it is
anchored. A word that cannot apply to the rule's type is a mistake, since such a rule would refuse all.
"""

import re
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from tollhouse.policy.written import Written

PATTERN_CHARS_MAX: Final = 500
DECIMAL_PLACES_MAX: Final = 15
ENUM_VALUES_MAX: Final = 1000

_NOT_IN_RE2: Final = re.compile(r"\(\?(?:=|!|<=|<!|>|P=|\()|(?<!\\)(?:\\\\)*\\(?:[1-9Z]|N\{)|[*+?}]\+")
_ONLY_IN_RE2: Final = re.compile(r"\\(?:[pP](?:\{\^?\w+\}|\w)|[zCQE])|\[\[:\^?\w+:\]\]")
_WORDS_BY_TYPE: Final = {
    "number": ("minimum", "maximum", "multiple_of"),
    "integer": ("minimum", "maximum", "multiple_of"),
    "string": ("pattern", "min_length", "max_length"),
    "array": ("items", "min_items", "max_items"),
}
_TYPED_WORDS: Final = frozenset(word for words in _WORDS_BY_TYPE.values() for word in words)
_RANGES: Final = (("minimum", "maximum"), ("min_length", "max_length"), ("min_items", "max_items"))
_SCHEMA_WORDS: Final = {
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
}

# Fractions of at most 15 digits (tollhouse.yaml_reader) come back from a float as they were written.
Number = int | float
Type = Literal["string", "number", "integer", "boolean", "array", "object"]


class ArgumentRule(Written):
    """All words are optional; every word that stands must hold."""

    NULLABLE = frozenset({"const"})

    type: Type | None = None
    enum: list[Any] | None = Field(default=None, min_length=1, max_length=ENUM_VALUES_MAX)
    const: Any = None
    minimum: Number | None = None
    maximum: Number | None = None
    multiple_of: Number | None = Field(default=None, gt=0)
    pattern: str | None = Field(default=None, max_length=PATTERN_CHARS_MAX)
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=0)
    items: "ArgumentRule | None" = None
    min_items: int | None = Field(default=None, ge=0)
    max_items: int | None = Field(default=None, ge=0)
    required: bool = True

    @field_validator("multiple_of")
    @classmethod
    def _can_be_told_exactly(cls, multiple_of: Number) -> Number:
        exponent = Decimal(str(multiple_of)).normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > DECIMAL_PLACES_MAX:
            raise ValueError(f"has more than {DECIMAL_PLACES_MAX} decimal places: no multiple could be told")
        return multiple_of

    @field_validator("pattern")
    @classmethod
    def _is_re2(cls, pattern: str) -> str:
        if _NOT_IN_RE2.search(pattern):
            raise ValueError("RE2 has no look-around, back-references or possessive repeats")
        try:
            re.compile(_ONLY_IN_RE2.sub("x", pattern))
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _can_hold(self) -> "ArgumentRule":
        fitting = _WORDS_BY_TYPE.get(self.type, ()) if self.type else _TYPED_WORDS
        for word in sorted(_TYPED_WORDS & self.model_fields_set):
            if word not in fitting:
                raise ValueError(f"{word} cannot be asked of the type {self.type}")
        for low, high in _RANGES:
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} {least} is above {high} {most}")
        return self

    def data(self) -> dict[str, Any]:
        """As it stands in a grant; the rule of items is JSON Schema there."""
        words = self._words()
        if self.items:
            words["items"] = {"type": "object", "properties": {"items": {"items": self.items.json_schema()}}}
        return words

    def json_schema(self) -> dict[str, Any]:
        """The rule as draft-07 JSON Schema."""
        schema = {_SCHEMA_WORDS.get(word, word): value for word, value in self._words().items()}
        schema.pop("required", None)
        if "items" in schema and self.items:
            schema["items"] = self.items.json_schema()
        return schema

    def _words(self) -> dict[str, Any]:
        return {word: getattr(self, word) for word in sorted(self.model_fields_set)}
