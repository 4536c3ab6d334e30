"""The condition of a spend rule: read, checked and compiled, but never evaluated here.

    amount_cents > 50000 and (payee in ['vendor-a', 'vendor-b'] or not hour >= 6)

A condition becomes its disjunctive normal form, `any` of `all` comparisons, with negations pushed into the
comparisons. Rego then only looks fields up and compares them. The syntax is told in
docs/reference/policy-document.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, v_args
from lark.exceptions import VisitError

from schemas.currency import AMOUNT_CENTS_MAX

CONDITION_CHARS_MAX: Final = 2000
CLAUSES_MAX: Final = 64
DEPTH_MAX: Final = 32

NUMBERS: Final = {"amount_cents": AMOUNT_CENTS_MAX, "hour": 23}
TEXTS: Final = ("currency", "purpose", "payee", "role", "agent", "tool")
NEGATED: Final = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
    "in": "not in",
    "not in": "in",
}
_EQUALITY: Final = frozenset({"==", "!=", "in", "not in"})

Value = int | str | tuple[int, ...] | tuple[str, ...]
Clause = tuple["Comparison", ...]


class ConditionError(ValueError):
    """The condition cannot be used. Line and column count from 1, within the condition."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(f"at line {line}, column {column} of the condition: {text}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field against one literal, or a list of them."""

    field: str
    op: str
    value: Value

    def negated(self) -> "Comparison":
        return Comparison(self.field, NEGATED[self.op], self.value)

    def data(self) -> dict[str, Any]:
        """As it stands in `data.gateway.spend.rules`."""
        return {"field": self.field, "op": self.op, "value": self.value}


@dataclass(frozen=True, slots=True)
class Not:
    """The other way round."""

    inner: "Node"


@dataclass(frozen=True, slots=True)
class Both:
    """`and` of two or more."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """`or` of two or more."""

    parts: tuple["Node", ...]


Node = Comparison | Not | Both | Either

_GRAMMAR: Final = r"""
?start: either
?either: both ("or" both)*
?both: not ("and" not)*
?not: "not" not -> negation
    | "(" either ")"
    | NAME OPERATOR literal -> compare
    | NAME "in" "[" literal ("," literal)* "]" -> among
    | NAME "not" "in" "[" literal ("," literal)* "]" -> not_among
literal: INTEGER | STRING
OPERATOR: "==" | "!=" | "<=" | ">=" | "<" | ">"
NAME: /[a-z_]+/
INTEGER: /-?[0-9]+/
STRING: /"[^"\n]*"|'[^'\n]*'/
%ignore /[ \n]+/
"""
_PARSER: Final = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


def parse(text: str) -> Node:
    """The condition's syntax tree, its types checked. Raises `ConditionError`."""
    if len(text) > CONDITION_CHARS_MAX:
        raise ConditionError(1, CONDITION_CHARS_MAX + 1, f"longer than {CONDITION_CHARS_MAX} characters")
    if text.count("(") + text.count("not") > DEPTH_MAX:
        raise ConditionError(1, 1, f"more than {DEPTH_MAX} parentheses and negations")
    try:
        tree = _PARSER.parse(text)
    except UnexpectedInput as error:
        raise _unexpected(error, text) from None
    try:
        node: Node = _Nodes(visit_tokens=False).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, ConditionError):
            raise error.orig_exc from None
        raise
    return node


def compile_condition(text: str) -> list[list[dict[str, Any]]]:
    """`any` of `all` comparisons, as data. Raises `ConditionError`."""
    return [[comparison.data() for comparison in clause] for clause in clauses(parse(text))]


def clauses(node: Node) -> list[Clause]:
    """The disjunctive normal form. Raises `ConditionError` where it has more than CLAUSES_MAX clauses."""
    found = _bounded(node, negate=False)
    if len(found) > CLAUSES_MAX:
        told = f"it has more than {CLAUSES_MAX} alternatives when written out: make several rules of it"
        raise ConditionError(1, 1, told)
    return list(dict.fromkeys(tuple(dict.fromkeys(clause)) for clause in found))


def _clauses(node: Node, *, negate: bool) -> Iterator[Clause]:
    match node:
        case Comparison():
            yield (node.negated() if negate else node,)
        case Not(inner):
            yield from _clauses(inner, negate=not negate)
        case Both(parts) | Either(parts) if isinstance(node, Either) is not negate:
            for part in parts:
                yield from _clauses(part, negate=negate)
        case Both(parts) | Either(parts):
            alternatives = ((_bounded(part, negate=negate)) for part in parts)
            for combination in product(*alternatives):
                yield tuple(comparison for clause in combination for comparison in clause)


def _bounded(node: Node, *, negate: bool) -> list[Clause]:
    """At most one clause more than allowed: enough to be refused."""
    return list(islice(_clauses(node, negate=negate), CLAUSES_MAX + 1))


@v_args(inline=True)
class _Nodes(Transformer[Token, Node]):
    """The parser's tree as nodes."""

    def literal(self, token: Token) -> Token:
        return token

    def compare(self, name: Token, operator: Token, literal: Token) -> Comparison:
        return Comparison(str(name), str(operator), _typed(name, operator, literal))

    def among(self, name: Token, *literals: Token) -> Comparison:
        return _membership(name, "in", literals)

    def not_among(self, name: Token, *literals: Token) -> Comparison:
        return _membership(name, "not in", literals)

    def negation(self, inner: Node) -> Not:
        return Not(inner)

    def both(self, *parts: Node) -> Both:
        return Both(parts)

    def either(self, *parts: Node) -> Either:
        return Either(parts)


def _membership(name: Token, op: str, literals: tuple[Token, ...]) -> Comparison:
    values: Any = tuple(_typed(name, Token("OPERATOR", op), literal) for literal in literals)
    return Comparison(str(name), op, values)


def _typed(name: Token, operator: Token, literal: Token) -> int | str:
    """The literal's value, where it is of the field's type."""
    if name in NUMBERS:
        return _number(name, operator, literal)
    if name not in TEXTS:
        known = ", ".join((*NUMBERS, *TEXTS))
        raise _wrong(name, f"the field {str(name)!r} does not exist; there are {known}")
    if literal.type != "STRING":
        raise _wrong(literal, f"{name} is text: write it in quotes, as {name} == '{literal}'")
    if operator not in _EQUALITY:
        raise _wrong(operator, f"{name} is text, which can only be compared with ==, != and in")
    return str(literal)[1:-1]


def _number(name: Token, operator: Token, literal: Token) -> int:
    largest = NUMBERS[str(name)]
    if literal.type != "INTEGER":
        meant = literal[1:-1] if re.fullmatch("[0-9]+", literal[1:-1]) else "1"
        example = f"{name} {operator} " + (f"[{meant}]" if operator in {"in", "not in"} else meant)
        raise _wrong(literal, f"{name} is a whole number: write it without quotes, as {example}")
    if not 0 <= int(literal) <= largest:
        raise _wrong(literal, f"{name} is a number from 0 to {largest}, got {literal}")
    return int(literal)


def _wrong(token: Token, text: str) -> ConditionError:
    return ConditionError(token.line or 1, token.column or 1, text)


# Where lark's errors keep what would have been right, the most exact first.
_SAID: Final = ("allowed", "accepts", "expected")
_EXPECTED: Final = {
    "NAME": "a field",
    "OPERATOR": "a comparison (==, !=, <, <=, >, >=, in)",
    "INTEGER": "a number",
    "STRING": "a text in quotes",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "COMMA": "','",
}


def _unexpected(error: UnexpectedInput, text: str) -> ConditionError:
    if isinstance(error, UnexpectedCharacters):
        found = text[error.pos_in_stream or 0]
    else:
        token: Token | None = getattr(error, "token", None)
        found = "" if token is None or token.type == "$END" else str(token)
    expected = next((getattr(error, said) for said in _SAID if getattr(error, said, None)), ())
    wanted = sorted({_EXPECTED.get(name, name.lower()) for name in expected if name != "$END"})
    line, column = (error.line, error.column) if found else (text.count("\n") + 1, len(text) + 1)
    met = f"{found!r} is not expected here" if found else "it ends too early"
    return ConditionError(line, column, f"{met}; right would be {', '.join(wanted) or 'the end'}")
