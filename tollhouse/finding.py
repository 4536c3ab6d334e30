"""One thing that `tollhouse doctor` looked at, and how a question becomes one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tollhouse.local.child import StartFailed
from tollhouse.problems import DocumentError


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what there is to say of it. What is only `odd` is no failure."""

    what: str
    state: Literal["ok", "odd", "wrong"]
    said: str


def asked(what: str, question: Callable[[], str]) -> Finding:
    """The answer to this question; what it raises is wrong."""
    try:
        return Finding(what, "ok", question())
    except (StartFailed, DocumentError, OSError) as error:
        return Finding(what, "wrong", str(error))
