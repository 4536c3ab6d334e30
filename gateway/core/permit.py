"""A judged call, and how it ended once it went on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.core.classify import Call
from gateway.core.decide import UNDECIDED, Spend, Verdict
from gateway.core.identify import Principal
from gateway.core.usage import Usage

_ENDED_BEFORE_S: Final = 30.0

Ending = Literal["succeeded", "failed", "unknown"]


class Permit(NamedTuple):
    """A call as it was judged. One with `verdict.allow` may go on; `Denied.permit` holds one that may not.

    `usage` is that of a metered call that goes on, and `begun` is to be called when its request is sent.
    """

    decision_id: str
    call: Call
    principal: Principal
    verdict: Verdict = UNDECIDED
    spend: Spend | None = None
    hold_id: str | None = None
    at: str = ""
    usage: Usage | None = None
    begun: Callable[[], None] | None = None

    @property
    def patience_s(self) -> float:
        """How long its tool may be silent at least: a metered call pays for the time, and is ended before."""
        return 0.0 if self.usage is None else self.usage.tariff.max_seconds + _ENDED_BEFORE_S

    def judged(self, spend: Spend | None, verdict: Verdict) -> "Permit":
        """With what it costs and what policy said."""
        return Permit(self.decision_id, self.call, self.principal, verdict, spend, self.hold_id, self.at)

    def held(self, hold_id: str) -> "Permit":
        """With the hold that was placed for it."""
        return Permit(self.decision_id, self.call, self.principal, self.verdict, self.spend, hold_id, self.at)


async def nothing_left() -> None:
    """The `finish` of an outcome whose caller has had everything, or is gone."""


@dataclass(slots=True)
class Outcome:
    """How a forwarded call ended, as far as its edge can tell.

    succeeded: the tool answered and did it; failed: it certainly did not; unknown: it may have.
    `journal_entry_id` is what a spend request posted; that of a paid call is told by its settlement.
    `stopped`: its caller left or the gateway ended it, so that how long it took is known.
    """

    kind: Ending
    status: int
    finish: Callable[[], Awaitable[None]] = nothing_left
    code: str | None = None
    journal_entry_id: str | None = None
    stopped: bool = False


Forward = Callable[[Permit], Awaitable[Outcome]]
