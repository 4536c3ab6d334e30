"""Strict YAML with the line and column of everything in it.

A document that two readers could understand differently is refused: a key that stands twice, anchors,
aliases and tags, tabs, a byte order mark, whatever is not UTF-8, a second document. Scalars are those
of YAML 1.2's core schema without its rarities: `null`, `true`, `false`, decimal integers and decimal
fractions (at most 15 digits, which every reader holds exactly). Everything else is text, so `no`,
`0x1F`, `12:30` and `2026-01-01` are text too. A number with a leading zero means eight in one reader
and ten in another: refused.

    read_model(path, Model) -> Model     raises `DocumentError` with every problem of the file
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import orjson
import yaml
from pydantic import BaseModel, ValidationError

from tollhouse import problems, yaml_mistakes
from tollhouse.model_keys import UnknownKeys, allowed_keys
from tollhouse.problems import DocumentError, Problem

SIZE_BYTES_MAX: Final = 1 << 20
DEPTH_MAX: Final = 32
INTEGER_BITS_MAX: Final = 64
NUMBER_CHARS_MAX: Final = 64
FRACTION_DIGITS_MAX: Final = 15

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FRACTION: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]")

Model = TypeVar("Model", bound=BaseModel)
Mark = tuple[int, int]


@dataclass(slots=True)
class Document:
    """A document's value and where each part of it stands: (line, column) from 1, by path."""

    file: str
    value: Any = None
    values: dict[problems.Path, Mark] = field(default_factory=dict)
    keys: dict[problems.Path, Mark] = field(default_factory=dict)

    def problem(self, path: problems.Path, text: str, *, at_key: bool = False) -> Problem:
        """A problem at this path, or at the nearest thing around it that the document has."""
        name = problems.dotted(path)
        if at_key and path in self.keys:
            return self._told(self.keys[path], name, text)
        while path and path not in self.values:
            path = path[:-1]
        return self._told(self.values.get(path, (1, 1)), name, text)

    def _told(self, mark: Mark, name: str, text: str) -> Problem:
        return Problem(self.file, *mark, f"{name}: {text}" if name else text)


def read_model(path: Path, model: type[Model]) -> Model:
    """Read a file as this model, strictly typed. Raises `DocumentError`, also for an unreadable file."""
    return as_model(read_document(path), model)


def read_document(path: Path) -> Document:
    """Read a file of one strict YAML document. Raises `DocumentError`."""
    try:
        with path.open("rb") as file:
            text = file.read(SIZE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise DocumentError([Problem(str(path), 0, 0, "there is no such file")]) from None
    except OSError as error:
        raise DocumentError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from None
    return parse(text, str(path))


def parse(text: bytes, file: str) -> Document:
    """The document in this text; `file` is its name in problems. Raises `DocumentError`."""
    document = Document(file)
    loader = _Composer(_checked(text, file))
    try:
        node = loader.get_single_node()
        if node is None:
            raise DocumentError([Problem(file, 1, 1, "the document is empty")])
        document.value = _value(node, (), document)
    except _Unclear as error:
        raise DocumentError([Problem(file, *_mark(error.mark), error.text)]) from None
    except yaml.MarkedYAMLError as error:
        place, told = yaml_mistakes.told(error)
        raise DocumentError([Problem(file, *place, told)]) from None
    finally:
        loader.dispose()
    return document


def as_model(document: Document, model: type[Model]) -> Model:
    """The document as this model, strictly typed; `DocumentError` names every path that is wrong."""
    try:
        return model.model_validate_json(orjson.dumps(document.value, default=_exact), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
    meant = [dict(each) for each in found if not _other_branch(each, found)]
    unknown = [each for each in meant if each["type"] == "extra_forbidden"]
    raise DocumentError(
        {
            *_unknown(document, model, unknown),
            *(_problem(document, each) for each in meant if each not in unknown),
        }
    )


def _checked(text: bytes, file: str) -> str:
    """The text, decoded, with nothing in it that YAML readers disagree about."""
    if len(text) > SIZE_BYTES_MAX:
        raise DocumentError([Problem(file, 1, 1, f"larger than {SIZE_BYTES_MAX} bytes")])
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        column = error.start - text.rfind(b"\n", 0, error.start)
        raise DocumentError([Problem(file, line, column, "not UTF-8")]) from None
    odd = yaml.reader.Reader.NON_PRINTABLE.search(decoded) or re.search("[\t\ufeff\x85\u2028\u2029]", decoded)
    if odd:
        line = decoded.count("\n", 0, odd.start()) + 1
        column = odd.start() - decoded.rfind("\n", 0, odd.start())
        told = "a tab: indent and separate with spaces" if odd[0] == "\t" else f"the character {odd[0]!a}"
        raise DocumentError([Problem(file, line, column, f"{told} (an escape in double quotes may name it)")])
    return decoded


class _Unclear(Exception):
    """Well-formed YAML that this reader refuses."""

    def __init__(self, mark: yaml.Mark, text: str) -> None:
        self.mark = mark
        self.text = text


class _Composer(yaml.SafeLoader):
    """Composes nodes, and refuses what makes one node mean another."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _Unclear(event.start_mark, "anchors and aliases are not allowed: write it out")
        if event.tag is not None:
            raise _Unclear(event.start_mark, f"the tag {event.tag} is not allowed")
        if self.depth >= DEPTH_MAX:
            raise _Unclear(event.start_mark, f"nested deeper than {DEPTH_MAX} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _value(node: yaml.Node, path: problems.Path, document: Document) -> Any:
    document.values[path] = _mark(node.start_mark)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), document) for index, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: problems.Path, document: Document) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in node.value:
        name = _value(key, path, document) if isinstance(key, yaml.ScalarNode) else None
        if not isinstance(name, str):
            raise _Unclear(key.start_mark, "a key must be text: put it in quotes")
        if name in members:
            raise _Unclear(key.start_mark, f"the key {name!r} stands twice in one mapping")
        document.keys[*path, name] = _mark(key.start_mark)
        members[name] = _value(value, (*path, name), document)
    document.values[path] = _mark(node.start_mark)
    return members


def _scalar(node: yaml.Node) -> Any:
    """Quoted: text. Unquoted: null, boolean, integer, exact fraction or text."""
    text = _text(node)
    if getattr(node, "style", None):
        return text
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if not _FRACTION.fullmatch(text):
        return text
    if _LEADING_ZERO.match(text):
        raise _Unclear(node.start_mark, f"{text}: readers disagree about a leading zero: drop or quote it")
    if len(text) > NUMBER_CHARS_MAX:
        _too_large(node)
    if not _INTEGER.fullmatch(text):
        return _fraction(node)
    number = int(text)
    return number if number.bit_length() < INTEGER_BITS_MAX else _too_large(node)


def _text(node: yaml.Node) -> str:
    text: str = node.value
    if _SURROGATE.search(text):
        raise _Unclear(node.start_mark, "half a character: \\ud800 to \\udfff stand for none in a text")
    return text


def _fraction(node: yaml.Node) -> Decimal:
    number = Decimal(node.value)
    if len(number.as_tuple().digits) > FRACTION_DIGITS_MAX or abs(number.adjusted()) > FRACTION_DIGITS_MAX:
        _too_large(node)
    return number


def _too_large(node: yaml.Node) -> NoReturn:
    raise _Unclear(node.start_mark, f"the number {node.value[: problems.SHOWN_CHARS_MAX]} is out of range")


def _mark(mark: yaml.Mark | None) -> Mark:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _exact(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        text = str(value)
        return orjson.Fragment(text)
    raise TypeError(f"{type(value).__name__} has no place in a document")


def _unknown(document: Document, model: type[BaseModel], errors: list[dict[str, Any]]) -> Iterator[Problem]:
    """Keys that the model does not know, in the order of their lines."""
    answers = UnknownKeys()
    paths = [_found(document.value, error["loc"], keep_last=False)[0] for error in errors]
    for mark, path in sorted((document.keys[path], path) for path in paths):
        told = answers.answer(str(path[-1]), allowed_keys(model, path[:-1]), mark[0])
        yield document.problem(path, told, at_key=True)


def _problem(document: Document, error: dict[str, Any]) -> Problem:
    """A pydantic error, at its place in the document."""
    path, value = _found(document.value, error["loc"], keep_last=error["type"] == "missing")
    at_key = error["loc"][-1:] == ("[key]",)
    meant = path[-1] if at_key else value
    told = problems.wording(error["type"], error["msg"], error.get("ctx", {}), path, meant)
    return document.problem(path, told, at_key=at_key)


def _other_branch(error: Any, errors: list[Any]) -> bool:
    """Whether this only says that a union's other branch was not meant: one branch was looked into.

    What may be a whole number or a fraction is told to be no number at all, once.
    """
    loc = error["loc"][:-1]
    if error["loc"][-1:] == ("int",) and any(each["loc"] == (*loc, "float") for each in errors):
        return True
    return error["type"].endswith("_type") and any(
        each["loc"][: len(loc)] == loc and len(each["loc"]) > len(loc) + 1 for each in errors
    )


def _found(value: Any, loc: problems.Path, *, keep_last: bool) -> tuple[problems.Path, Any]:
    """The document's own path for pydantic's, which also names the branches of unions, and its value."""
    path: problems.Path = ()
    for position, part in enumerate(loc):
        inside = isinstance(value, dict) and part in value
        inside = inside or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        if inside:
            value = value[part]
        elif not (keep_last and position == len(loc) - 1):
            continue
        path = (*path, part)
    return path, value
