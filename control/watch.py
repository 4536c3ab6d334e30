"""The watch: what the clock brings up. A hold whose outcome stays unknown tells no event of it."""

from collections.abc import Callable
from typing import Final

from control.compliance import Compliance
from control.evidence import Evidence

HOLDS_MAX: Final = 100
_WINDOWS_KEPT: Final = 60


class Watch:
    """Looks for holds unknown for longer than `unknown_age_s_max`; forgets refusals that count no longer.

    Only once the stream was read to its end (`caught_up`): what settled such a hold may stand there.
    """

    def __init__(
        self,
        evidence: Evidence,
        compliance: Compliance,
        unknown_age_s_max: int,
        refusals_window_s: int,
        caught_up: Callable[[], bool],
    ) -> None:
        self._evidence = evidence
        self._compliance = compliance
        self._caught_up = caught_up
        self._unknown_age_s_max = unknown_age_s_max
        self._refusals_kept_s = refusals_window_s * _WINDOWS_KEPT

    async def look(self) -> None:
        """One round. Raises `OpaUnavailable`, `DatabaseUnavailable`: the rest is looked at again."""
        await self._evidence.forget_refusals(self._refusals_kept_s)
        if not self._caught_up():
            return
        overdue, settled = await self._evidence.overdue(self._unknown_age_s_max, HOLDS_MAX)
        await self._compliance.judge(overdue)
        judged = [(seen.event["tenant"], seen.event["payload"]["hold_id"]) for seen in overdue]
        if judged or settled:
            await self._evidence.forget_holds([*judged, *settled])
