"""Whether a schema may take the place of a published one under the same version.

Two promises are kept. Whatever was valid stays valid: events lie in streams and in databases for years. And
what a consumer could rely on, it still can: a member that was always there, its type, its alternatives. So
under one version texts may change, a member may be added that nobody has to send, a list of values may grow,
a bound may be loosened. Everything else is breaking and wants a new version, and so is a change of a keyword
that this file does not know.

`additionalProperties: false` makes every new member unknown to consumers with older schemas: they set such
events apart as dead letters, to be replayed when they are up to date. Upgrade consumers first.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
Documents = Mapping[str, Schema]
"""Schemas by their `$id`."""

_TEXTS: Final = frozenset(
    {"title", "description", "$comment", "examples", "default", "deprecated", "$schema", "$id", "$defs"}
)
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def breaking(old: Schema, new: Schema, old_documents: Documents, new_documents: Documents) -> list[str]:
    """What of the change breaks a promise: JSON pointers into the schema, each with what is wrong there.

    References are followed in their own documents; raises `KeyError` for one that leads nowhere.
    """
    return list(_Comparison(old_documents, new_documents).of("", old, new))


class _Comparison:
    def __init__(self, old_documents: Documents, new_documents: Documents) -> None:
        self._old_documents = old_documents
        self._new_documents = new_documents

    def of(self, at: str, old: Any, new: Any) -> Iterator[str]:
        """The breaks between two schemas at one place."""
        old, new = _resolved(old, self._old_documents), _resolved(new, self._new_documents)
        for keyword in sorted((old.keys() | new.keys()) - _TEXTS):
            before, after = old.get(keyword, _ABSENT), new.get(keyword, _ABSENT)
            place = f"{at}/{keyword}"
            if keyword == "properties":
                yield from self._properties(at, old, new)
            elif keyword == "items" and _ABSENT not in (before, after):
                yield from self.of(place, before, after)
            elif keyword == "anyOf" and _ABSENT not in (before, after):
                yield from self._alternatives(place, before, after)
            elif (broken := _RULES.get(keyword, _changed)(before, after)) is not None:
                yield f"{place}: {broken}"

    def _properties(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            place = f"{at}/properties/{name}"
            if name in after:
                yield from self.of(place, before[name], after[name])
            else:
                yield f"{place}: was removed"
        if old.get("additionalProperties", True) is not False:
            for name in sorted(after.keys() - before.keys()):
                yield f"{at}/properties/{name}: was free to be anything"

    def _alternatives(self, at: str, before: list[Any], after: list[Any]) -> Iterator[str]:
        """Each alternative goes on, changed compatibly at most, and there is no other."""
        if len(before) != len(after):
            yield f"{at}: had {len(before)} alternatives and has {len(after)}"
            return
        left = list(after)
        for place, alternative in enumerate(before):
            heir = next((candidate for candidate in left if not [*self.of(at, alternative, candidate)]), None)
            if heir is None:
                yield f"{at}/{place}: no alternative takes its place"
            else:
                left.remove(heir)


_ABSENT: Final = object()


def _resolved(schema: Any, documents: Documents) -> dict[str, Any]:
    """The schema with its reference followed; what stands beside the reference counts too."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    found = dict(schema)
    while "$ref" in found:
        address, _, pointer = found.pop("$ref").partition("#")
        target: Any = documents[address]
        for step in filter(None, pointer.split("/")):
            target = target[step]
        found = {**target, **found}
    return found


def _type(before: Any, after: Any) -> str | None:
    return None if _listed(before) == _listed(after) else f"was {_told(before)} and is {_told(after)}"


def _listed(types: Any) -> set[Any]:
    return set(types) if isinstance(types, list) else {types}


def _required(before: Any, after: Any) -> str | None:
    old, new = (set() if names is _ABSENT else set(names) for names in (before, after))
    if new - old:
        return f"now has to be sent: {', '.join(sorted(new - old))}"
    if old - new:
        return f"can no longer be relied on: {', '.join(sorted(old - new))}"
    return None


def _enum(before: Any, after: Any) -> str | None:
    if _ABSENT in (before, after):
        return _changed(before, after)
    gone = [value for value in before if value not in after]
    return f"no longer allowed: {', '.join(map(str, gone))}" if gone else None


def _lower(before: Any, after: Any) -> str | None:
    if after is _ABSENT or (before is not _ABSENT and after <= before):
        return None
    return f"was raised from {_told(before)} to {after}"


def _upper(before: Any, after: Any) -> str | None:
    if after is _ABSENT or (before is not _ABSENT and after >= before):
        return None
    return f"was lowered from {_told(before)} to {after}"


def _extra(before: Any, after: Any) -> str | None:
    before, after = (True if value is _ABSENT else value for value in (before, after))
    return _changed(before, after)


def _changed(before: Any, after: Any) -> str | None:
    return None if before == after else f"was {_told(before)} and is {_told(after)}"


def _told(value: Any) -> str:
    return "not there" if value is _ABSENT else str(value)


_RULES: Final[Mapping[str, Callable[[Any, Any], str | None]]] = {
    "type": _type,
    "required": _required,
    "enum": _enum,
    "additionalProperties": _extra,
    **dict.fromkeys(_LOWER, _lower),
    **dict.fromkeys(_UPPER, _upper),
}
