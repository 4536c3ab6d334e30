"""How a break is resolved: by entries that compensate, never by a change to one.

    accept    no money was misbooked: the break is closed with its reason
    reverse   what was executed is taken back in the books: the reversal of each entry
    correct   reversal of what was executed, and an entry of what the statement says
    post      an entry of what the statement says, where there was none
    capture   a hold of unknown outcome was used: what is held is captured
    void      a hold of unknown outcome was not used: its money is free again

A budget is not given back by a reversal: a hold stays charged to the window in which it was placed.
"""

from collections.abc import Mapping
from typing import Final, Literal

from treasury.core.lifecycle import lifecycle
from treasury.core.reconciliation import BreakKind
from treasury.errors import Refused

Action = Literal["accept", "reverse", "correct", "post", "capture", "void"]

BREAK: Final = lifecycle("break", born="open", open="resolved")

_EXECUTED: Final[Mapping[BreakKind, frozenset[Action]]] = {
    "missing_in_statement": frozenset({"accept", "reverse"}),
    "amount_differs": frozenset({"accept", "reverse", "correct"}),
    "currency_differs": frozenset({"accept", "reverse", "correct"}),
}
_UNEXECUTED: Final[Mapping[BreakKind, frozenset[Action]]] = {
    "missing_in_ledger": frozenset({"accept", "post"}),
    "duplicate_line": frozenset({"accept", "post"}),
    "missing_in_statement": frozenset({"capture", "void"}),
    "amount_differs": frozenset({"capture", "void"}),
    "currency_differs": frozenset({"capture", "void"}),
}


def allowed(kind: BreakKind, *, executed: bool) -> frozenset[Action]:
    """What may be done about a break; `executed` tells that executions stand behind it."""
    return (_EXECUTED if executed else _UNEXECUTED).get(kind, frozenset({"accept"}))


def refuse_unless_allowed(kind: BreakKind, action: Action, *, executed: bool) -> None:
    """Raise `Refused` (invalid) for an action that does not go with the break."""
    choices = allowed(kind, executed=executed)
    if action not in choices:
        message = f"a break of this kind is resolved by one of: {', '.join(sorted(choices))}"
        raise Refused("invalid", [{"loc": ["body", "action"], "message": message}])
