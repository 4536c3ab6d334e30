"""SQL that has names: a `.sql` file of statements, each under a line `-- name: record_decision`."""

import re
from types import SimpleNamespace

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\s*$", re.MULTILINE)


def named(text: str) -> SimpleNamespace:
    """The statements of the text as attributes; whatever stands before the first name is a preamble.

    Raises `ValueError` for a name that stands twice or has no statement.
    """
    _preamble, *parts = _NAME.split(text)
    statements: dict[str, str] = {}
    for name, statement in zip(parts[::2], parts[1::2], strict=True):
        if name in statements or not statement.strip():
            raise ValueError(f"the query {name} stands twice or is empty")
        statements[name] = statement.strip().removesuffix(";")
    return SimpleNamespace(**statements)
