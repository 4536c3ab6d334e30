"""What the rules say to one command, before any budget is asked for room.

Refusals are raised: `Refused` is an answer and is kept, `NotAuthorized` leaves no trace. What is not
refused becomes one of

    Declared     an intent is kept
    Wanted       money is to be held, if its budgets have room
    Captured     held money moves, by one journal entry
    Released     held money is free again; the hold is voided or expired
    Unsettled    the hold stays, its outcome unknown
    Unchanged    it is so already
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from schemas.warrant import Act as WarrantAct
from schemas.warrant import Warrant
from treasury.core import warrant as word
from treasury.core.authorization import Request
from treasury.core.command import (
    Accrue,
    Act,
    Answer,
    Asked,
    Authorize,
    CaptureHold,
    Command,
    Declare,
    Execute,
    Expire,
    Reconcile,
    Spend,
    Void,
    VoidHold,
)
from treasury.core.execution import (
    Capture,
    accrue,
    ending,
    execute,
    refuse_unless_open,
    refuse_unless_voidable,
    settle,
)
from treasury.core.intent import Intent
from treasury.core.known import Held, Known
from treasury.core.money import Money
from treasury.core.posting import JournalEntry, payment
from treasury.core.workflow import Workflow
from treasury.errors import NotAuthorized, Refused


@dataclass(frozen=True, slots=True)
class Declared:
    """An intent is kept."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Wanted:
    """A good warrant for an intent without a live authorization; `declares` an intent that is new."""

    request: Request
    declares: bool


@dataclass(frozen=True, slots=True)
class Captured:
    """Held money moves. `depleted` are the keys of its budgets that have nothing left after it."""

    held: Held
    capture: Capture
    entry: JournalEntry
    depleted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Released:
    """What is still held is free again; `answer` is None where nobody asked."""

    held: Held
    status: Literal["voided", "expired"]
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The money stays held; `answer` is None where nobody asked."""

    held: Held
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing is written; `answer` is None where nobody asked."""

    answer: Answer | None


Ruling = Declared | Wanted | Captured | Released | Unsettled | Unchanged


def rule(command: Command, known: Known, at: datetime) -> Ruling:
    """What becomes of a command at this time; raises `Refused` or `NotAuthorized`."""
    _check_warrant(command, known, at)
    match command.act:
        case Declare(intent):
            return Declared(_new(intent, known))
        case Spend(warrant, intent):
            return _wanted(warrant, _new(intent, known), known, declares=True)
        case Authorize(warrant):
            return _authorize(warrant, known)
        case Execute() as act:
            return _execute(act, known, at)
        case Void(_, intent_id):
            return _void(intent_id, known)
        case act:
            return _settle(act, command.asked, known)


def _check_warrant(command: Command, known: Known, at: datetime) -> None:
    """Raise `NotAuthorized` unless the command needs no warrant, or has one that is good and unused."""
    warrant, asked = command.warrant, command.asked
    if warrant is None or asked is None:
        return
    act = _WARRANT_ACTS[type(command.act)]
    word.check(warrant, word.Expected(asked.gateway, asked.tenant, asked.principal, act, at))
    if known.warrant_used:
        raise NotAuthorized(word.CODE, "the warrant was refused: it was used before")
    intent = command.declared or known.intent
    if intent is None:
        raise NotAuthorized(word.CODE, "there is no such intent")
    word.check_intent(warrant, intent)


_WARRANT_ACTS: Final[dict[type, WarrantAct]] = {
    Spend: "authorize",
    Authorize: "authorize",
    Execute: "execute",
    Void: "void",
}


def _new(intent: Intent, known: Known) -> Intent:
    _workflow(known).refuse_unless_active()
    if known.intent is not None:
        raise Refused("duplicate", "this intent was declared before")
    return intent


def _authorize(warrant: Warrant, known: Known) -> Wanted:
    workflow, intent = _workflow(known), known.intent
    if intent is None:
        raise NotAuthorized(word.CODE, "there is no such intent")
    workflow.refuse_unless_active()
    if known.has_live_authorization:
        raise Refused("duplicate", "this intent has an authorization that lives")
    return _wanted(warrant, intent, known, declares=False)


def _wanted(warrant: Warrant, intent: Intent, known: Known, *, declares: bool) -> Wanted:
    bound = _workflow(known).bound(warrant, intent.money.currency)
    return Wanted(Request(bound, intent), declares)


def _execute(act: Execute, known: Known, at: datetime) -> Captured:
    if act.warrant.recipient_account != act.recipient_account:
        raise NotAuthorized(word.CODE, "the warrant was refused: it is for another account")
    held = _held(known)
    _workflow(known).refuse_unless_active()
    if act.warrant.verdict != "approved":
        raise Refused(word.CODE, "policy does not allow this execution")
    taken = execute(held.spend, act.amount_cents, act.warrant.ceiling_cents, at)
    return _captured(held, taken, act.recipient_account)


def _void(intent_id: UUID, known: Known) -> Released:
    held = _held(known)
    refuse_unless_voidable(held.spend)
    body = {
        "intent_id": str(intent_id),
        "authorization_id": str(held.authorization_id),
        "status": "voided",
    }
    return Released(held, "voided", Answer(200, body))


def _settle(act: Act, asked: Asked | None, known: Known) -> Ruling:
    """The acts that name a hold: of a gateway that placed it, or of the house itself."""
    held = known.held
    if held is None or (asked is not None and held.gateway != asked.gateway):
        raise Refused("not_found", "there is no such hold")
    match act:
        case Expire():
            return _expire(held)
        case Reconcile(_, amount_cents):
            return _reconcile(held, amount_cents)
        case CaptureHold(_, account, amount_cents):
            return _captured(held, settle(held.spend, amount_cents), account)
        case Accrue(_, account, amount_cents):
            return _captured(held, accrue(held.spend, amount_cents), account)
        case VoidHold():
            refuse_unless_open(held.spend)
            return Released(held, "voided", _ended(held, "voided"))
        case _:
            refuse_unless_open(held.spend)
            answer = _ended(held, "unknown")
            return Unchanged(answer) if held.spend.hold_status == "unknown" else Unsettled(held, answer)


def _expire(held: Held) -> Ruling:
    if held.spend.hold_status != "placed":
        return Unchanged(None)
    _hold_status, authorization_status = ending(held.spend)
    return Unsettled(held, None) if authorization_status is None else Released(held, "expired", None)


def _reconcile(held: Held, amount_cents: int | None) -> Ruling:
    if held.spend.hold_status != "unknown":
        raise Refused("duplicate", f"the hold is {held.spend.hold_status} already")
    if amount_cents is None:
        return Released(held, "voided", None)
    return _captured(held, settle(held.spend, amount_cents), held.intent.payee)


def _captured(held: Held, capture: Capture, account: str) -> Captured:
    money = Money(capture.amount_cents, held.intent.money.currency)
    return Captured(held, capture, payment(account, money))


def _ended(held: Held, status: str) -> Answer:
    return Answer(200, {"hold_id": str(held.hold_id), "status": status})


def _held(known: Known) -> Held:
    if known.held is None:
        raise Refused(word.CODE, "this intent has no authorization")
    return known.held


def _workflow(known: Known) -> Workflow:
    """A command that names something is of a workflow; what names nothing was refused before."""
    if known.workflow is None:
        raise Refused("not_found", "there is no such workflow")
    return known.workflow
