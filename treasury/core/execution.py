"""Taking money that was held: how much, and what becomes of the rest.

A spend may be executed in parts that add up to at most what was authorized; what is left stays held
until it is executed, voided or expires. A paid call is captured once, and what is left is free again; one
that is metered accrues before that, part by part.

Who ends a hold follows from what it was placed for. That of a spend is ended by its agent, with a warrant.
That of a paid call is ended by its gateway alone, which knows what became of the call; its agent may give it
up only while it waits for a person, since nothing was sent yet.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from treasury.errors import Refused


@dataclass(frozen=True, slots=True)
class HeldSpend:
    """A hold with the state of its authorization; amounts in minor units."""

    authorization_status: str
    hold_status: str
    unsettled: str
    amount_cents: int
    captured_cents: int
    expires_at: datetime

    def left_cents(self) -> int:
        """What is still held."""
        return self.amount_cents - self.captured_cents


@dataclass(frozen=True, slots=True)
class Capture:
    """How much is taken, how much becomes free, and whether the hold is done with."""

    amount_cents: int
    released_cents: int
    closes: bool


_NOT_OPEN: Final = {
    "pending": ("authorization_not_approved", "a person has to approve this spend first"),
    "denied": ("no_authorization_record", "this spend was denied"),
    "expired": ("authorization_expired", "the authorization has expired"),
    "voided": ("authorization_voided", "the authorization was voided"),
}


def execute(held: HeldSpend, amount_cents: int | None, ceiling_cents: int, at: datetime) -> Capture:
    """Capture part of an authorized spend, or with None all that is left; at most `ceiling_cents`.

    Raises `Refused`: a paid call, not approved, expired, voided, executed already, or above what was
    authorized.
    """
    if held.authorization_status in _NOT_OPEN:
        raise Refused(*_NOT_OPEN[held.authorization_status])
    _refuse_paid_call(held)
    if held.authorization_status == "executed" and amount_cents is None:
        raise Refused("duplicate", "the authorization was executed already")
    left_cents = held.left_cents()
    wanted_cents = left_cents if amount_cents is None else amount_cents
    if wanted_cents > min(left_cents, ceiling_cents):
        raise Refused(
            "spend_exceeds_ceiling",
            f"{wanted_cents} is more than the {left_cents} minor units left of the authorization",
        )
    if held.expires_at <= at:
        raise Refused(*_NOT_OPEN["expired"])
    return Capture(wanted_cents, 0, closes=wanted_cents == left_cents)


def settle(held: HeldSpend, amount_cents: int) -> Capture:
    """Capture a paid call: at most what is held; the rest becomes free. It may be late, never twice.

    Raises `Refused` where the hold is of a spend, closed already, or smaller than the amount.
    """
    refuse_unless_open(held)
    if amount_cents > held.left_cents():
        raise Refused(
            "spend_exceeds_ceiling", f"{amount_cents} is more than the {held.left_cents()} minor units held"
        )
    return Capture(amount_cents, held.left_cents() - amount_cents, closes=True)


def accrue(held: HeldSpend, amount_cents: int) -> Capture:
    """Capture what a metered call has used so far; the rest stays held until it is captured or voided.

    Raises `Refused` as `settle` does.
    """
    capture = settle(held, amount_cents)
    return Capture(amount_cents, 0, closes=capture.released_cents == 0)


def refuse_unless_open(held: HeldSpend) -> None:
    """A hold that a gateway may settle by itself: of a paid call, approved, and open still."""
    if held.unsettled != "unknown":
        raise Refused("no_authorization_record", "the hold of a spend is settled with a warrant alone")
    if held.authorization_status in _NOT_OPEN:
        raise Refused(*_NOT_OPEN[held.authorization_status])
    if held.hold_status not in ("placed", "unknown"):
        raise Refused("duplicate", f"the hold is {held.hold_status} already")


def refuse_unless_voidable(held: HeldSpend) -> None:
    """An agent can void what is pending, and a spend that is approved; expiry is the sweeper's."""
    if held.authorization_status == "executed":
        raise Refused("duplicate", "the authorization was executed already")
    if held.authorization_status not in ("pending", "approved"):
        raise Refused(*_NOT_OPEN[held.authorization_status])
    if held.authorization_status == "approved":
        _refuse_paid_call(held)


def _refuse_paid_call(held: HeldSpend) -> None:
    if held.unsettled == "unknown":
        raise Refused("no_authorization_record", "the hold of a paid call is settled by its gateway alone")


def ending(held: HeldSpend) -> tuple[str, str | None]:
    """What a hold whose time is up becomes, and its authorization (None: it stays as it is).

    The tool of a paid call may have acted, so its money stays held; one that waits for a person was
    never sent.
    """
    if held.authorization_status == "approved" and held.unsettled == "unknown":
        return "unknown", None
    return "expired", "expired"
