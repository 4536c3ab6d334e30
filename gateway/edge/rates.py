"""Rate limits, as policy obliges: each agent's judged calls, counted in this worker."""

import math
from collections.abc import Callable
from typing import Any

from gateway.core.identify import Principal
from gateway.core.limit import TokenBuckets
from gateway.errors import BadRequest, Denied


class WorkerRates:
    """The rates of one worker's callers. `monotonic` gives seconds."""

    def __init__(self, principals_max: int, monotonic: Callable[[], float]) -> None:
        self._buckets = TokenBuckets(principals_max)
        self._monotonic = monotonic

    def take(self, principal: Principal, obligation: dict[str, Any]) -> None:
        """Count a call under `{calls, per_s}`.

        Raises `BadRequest` (rate_limited), or `Denied` for an obligation of another form.
        """
        if not obligation:
            return
        match obligation:
            case {"calls": int(calls), "per_s": int() | float() as per_s} if calls > 0 and per_s > 0:
                key = (principal.tenant, principal.id)
                wait_s = self._buckets.take(key, calls, per_s, self._monotonic())
            case _:
                why = "policy asks for a rate limit that this gateway cannot read"
                raise Denied("obligation_unmet", why, reasons=({"code": "obligation_unmet", "message": why},))
        if wait_s:
            why = f"more than {calls} calls in {per_s} s"
            raise BadRequest("rate_limited", why, retry_after_s=math.ceil(wait_s))
