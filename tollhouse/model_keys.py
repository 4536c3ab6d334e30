"""Which keys a model allows at a path, so that an unknown key is answered with the known ones."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from tollhouse.problems import Path


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
