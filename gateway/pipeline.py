"""The path of a request, from top to bottom.

Each way in (`gateway.edge.http_tools`, `mcp`, `spends`) makes a `Call` of its request and gives it to
`run` together with `forward`: a function that sends the request upstream, relays the answer as it
comes, keeps the last piece back and returns an `Outcome`. The last piece is sent by `Outcome.finish`,
after the money is settled and the outcome recorded: whoever has the whole answer can rely on both.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from gateway.core.classify import Call
from gateway.core.decide import Spend, Verdict
from gateway.core.identify import Principal


@dataclass(frozen=True, slots=True)
class Permit:
    """A judged call that may go on."""

    decision_id: str
    call: Call
    principal: Principal
    verdict: Verdict
    spend: Spend | None = None
    hold_id: str | None = None


@dataclass(slots=True)
class Outcome:
    """How a forwarded call ended, as far as its edge can tell.

    succeeded: the tool answered and did it; failed: it certainly did not; unknown: it may have.
    """

    kind: Literal["succeeded", "failed", "unknown"]
    status: int
    finish: Callable[[], Awaitable[None]]
    code: str | None = None


Forward = Callable[[Permit], Awaitable[Outcome]]
