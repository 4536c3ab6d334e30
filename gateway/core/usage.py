"""What a metered call has used: its time by its tariff, and what of that the treasury was told.

While the call runs it accrues what its whole seconds come to, part by part under its one hold; its end pays
for the second that had begun too. The last minor unit of what is held never accrues, so that an end always
has something to settle, and the hold is ended by that alone.

A part has a number, which makes it happen once, and stays as it is until the treasury has heard it: asked
for again it is the very same one, and what was used meanwhile goes into the next.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

Part = tuple[int, int]
"""An accrual: its number, from 1, and its minor units."""


class Tariff(NamedTuple):
    """So much in so many seconds, for a call of at most `max_seconds`."""

    rate_cents: int
    rate_seconds: int
    max_seconds: int

    def ceiling_cents(self) -> int:
        """What the longest call costs: this much is held."""
        return self.cents_begun(self.max_seconds)

    def cents_whole(self, seconds: int) -> int:
        """What so many seconds come to, without the part of a minor unit."""
        return self.rate_cents * min(seconds, self.max_seconds) // self.rate_seconds

    def cents_begun(self, seconds: int) -> int:
        """What so many seconds come to, with the part of a minor unit as a whole one."""
        return -(-self.rate_cents * min(seconds, self.max_seconds) // self.rate_seconds)


def tariff(price: dict[str, Any] | None) -> Tariff | None:
    """The tariff of a price rule; None where the price is another one, or the rule has another form."""
    match price:
        case {
            "kind": "metered",
            "rate_cents": int(cents),
            "rate_seconds": int(seconds),
            "max_seconds": int(longest),
        } if cents > 0 and seconds > 0 and longest > 0:
            return Tariff(cents, seconds, longest)
    return None


@dataclass(slots=True)
class Usage:
    """One call under way, by a clock of seconds that never goes back. Nothing is used before it has begun."""

    tariff: Tariff
    _begun_s: float | None = None
    _ended_s: float | None = None
    _accrued_cents: int = 0
    _parts: int = 0
    _unheard: Part | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything of the request was sent."""
        return self._begun_s is not None

    def begin(self, now_s: float) -> None:
        """The request is on its way. Asked again it changes nothing."""
        if self._begun_s is None:
            self._begun_s = now_s

    def end(self, now_s: float) -> None:
        """The call is over. Asked again it changes nothing."""
        if self._ended_s is None:
            self._ended_s = now_s

    def part(self, now_s: float) -> Part | None:
        """What the treasury is to be told now: what it did not hear, else what was used since."""
        if self._unheard is None:
            used = self.tariff.cents_whole(self._seconds(now_s))
            self._unheard = self._next(used - self._accrued_cents)
        return self._unheard

    def heard(self) -> None:
        """The treasury has taken the part that it was told."""
        if self._unheard is not None:
            self._parts, cents = self._unheard
            self._accrued_cents += cents
            self._unheard = None

    def unheard(self) -> tuple[Part, ...]:
        """The part that the treasury was told and may not have heard."""
        return () if self._unheard is None else (self._unheard,)

    def left_cents(self) -> int:
        """What a call that is over has used beyond its parts: at least 1 where it has begun."""
        if self._begun_s is None or self._ended_s is None:
            return 0
        begun = self.tariff.cents_begun(self._seconds(self._ended_s) + 1)
        return begun - self._told_cents()

    def all_parts(self) -> tuple[Part, ...]:
        """Everything that a call which is over has used and the treasury may not have heard, as accruals."""
        last = self._next(self.left_cents(), self._unheard)
        return self.unheard() if last is None else (*self.unheard(), last)

    def _seconds(self, now_s: float) -> int:
        """The whole seconds since it began."""
        return 0 if self._begun_s is None else max(0, int(now_s - self._begun_s))

    def _told_cents(self) -> int:
        return self._accrued_cents + (self._unheard[1] if self._unheard else 0)

    def _next(self, cents: int, after: Part | None = None) -> Part | None:
        """The next part, `after` another or the last that was heard; the last minor unit is for the end."""
        cents = min(cents, self.tariff.ceiling_cents() - 1 - self._told_cents())
        number = after[0] if after else self._parts
        return (number + 1, cents) if cents > 0 else None
