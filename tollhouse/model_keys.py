"""Which keys a model allows at a path, so that an unknown key is answered with the known ones.

A section may allow many: they are listed at the first mistake, and the others name the line where they stand.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from tollhouse.problems import Path

NEAR = 0.75
"""How much of a key must be there to be taken for another one, misspelt."""


class UnknownKeys:
    """The answers to the unknown keys of one document, to be asked for in the order of its lines."""

    def __init__(self) -> None:
        self._listed_at: dict[Sequence[str], int] = {}

    def answer(self, key: str, allowed: set[str], line: int) -> str:
        """What is allowed instead of this key, and which of it was meant, where one can tell."""
        names = tuple(sorted(allowed))
        listed = (
            f"what is listed at line {self._listed_at[names]}"
            if names in self._listed_at
            else ", ".join(names)
        )
        self._listed_at.setdefault(names, line)
        meant = "".join(f"; did you mean {near}?" for near in get_close_matches(key, names, 1, NEAR))
        return f"unknown key; allowed here: {listed}{meant}"


def allowed_keys(model: type[BaseModel], path: Path) -> set[str]:
    """The names of all fields that any model standing at this path has."""
    standing = [model]
    for part in path:
        standing = [inner for outer in standing for inner in _inner(outer, part)]
    return {name for found in standing if _is_model(found) for name in _fields(found)}


def _inner(annotation: Any, part: str | int) -> list[Any]:
    """What may stand below this annotation at one step of a path."""
    if _is_model(annotation):
        return _branches(_fields(annotation).get(str(part)))
    arguments = get_args(annotation)
    if not arguments:
        return []
    return _branches(arguments[-1] if get_origin(annotation) is dict else arguments[0])


def _branches(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, without what is only said about it."""
    if get_origin(annotation) is Annotated:
        return _branches(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [branch for each in get_args(annotation) for branch in _branches(each)]
    return [annotation]


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
