"""The path of a request, from top to bottom.

Each way in (`gateway.edge.http_tools`, `mcp`, `spends`) identifies its caller, makes a `Call` of its
request and gives both to `run` together with `forward`: a function that sends the request upstream,
relays the answer as it comes, keeps the last piece back and returns an `Outcome`. The last piece is sent
by `Outcome.finish`, after the money is settled and the outcome recorded: whoever has the whole answer can
rely on both.

What stands around the path (OPA, the treasury, the journal, the clock) is a port of the `Gate`, so that the
path can be walked in a test with none of them.
"""

import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from adapters.http1 import Response
from gateway.config import Settings
from gateway.core import record
from gateway.core.classify import Call, Server
from gateway.core.decide import UNDECIDED, Spend, Verdict, document, require
from gateway.core.hold import agrees, stance, standing_workflow
from gateway.core.identify import Credential, Principal
from gateway.core.price import PriceTable, price, unpriceable
from gateway.core.settle import Ending, Settlement, settlement
from gateway.errors import Denied, OutcomeUnknown, Refusal, Unavailable
from schemas.ids import new_id


@dataclass(frozen=True, slots=True)
class Permit:
    """A call as it was judged. One with `verdict.allow` may go on; `Denied.permit` holds one that may not."""

    decision_id: str
    call: Call
    principal: Principal
    verdict: Verdict = UNDECIDED
    spend: Spend | None = None
    hold_id: str | None = None
    at: str = ""


async def nothing_left() -> None:
    """The `finish` of an outcome whose caller has had everything, or is gone."""


@dataclass(slots=True)
class Outcome:
    """How a forwarded call ended, as far as its edge can tell.

    succeeded: the tool answered and did it; failed: it certainly did not; unknown: it may have.
    `journal_entry_id` is what a spend request posted; that of a paid call is told by its settlement.
    """

    kind: Ending
    status: int
    finish: Callable[[], Awaitable[None]] = nothing_left
    code: str | None = None
    journal_entry_id: str | None = None


Forward = Callable[[Permit], Awaitable[Outcome]]


class Identity(Protocol):
    """Raises `Unauthenticated`."""

    async def identify(self, credential: Credential) -> Principal: ...


class Servers(Protocol):
    """The tool server of this name in the registry. Raises `BadRequest` (not_found)."""

    def server(self, name: str) -> Server: ...


class Prices(Protocol):
    """The table of prices as OPA last told it, and as it tells it now. Both raise `Unavailable`."""

    async def table(self) -> PriceTable: ...
    async def reread(self) -> PriceTable: ...


class Policy(Protocol):
    """Raises `Unavailable` (policy_unavailable, overloaded)."""

    async def decide(self, question: dict[str, Any]) -> Verdict: ...


class RateLimits(Protocol):
    """Raises `BadRequest` with rate_limited."""

    def take(self, principal: Principal, obligation: dict[str, Any]) -> None: ...


class Upstreams(Protocol):
    """Sends to a tool server; `target` is the path and query below its URL's own path.

    Raises `UpstreamFailed` where nothing was sent, `OutcomeUnknown` where no whole answer came.
    """

    async def send(
        self,
        server: Server,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes | AsyncIterable[bytes] | None,
    ) -> Response: ...


class Treasury(Protocol):
    """`hold` answers the hold's id; raises `Denied` or `Unavailable`.

    `settle` answers the journal entry's id where money moved (null elsewhere); raises `Unavailable`, and is
    then called again from the journal until the treasury has heard. It must bear being told twice.
    """

    async def hold(self, permit: Permit) -> str: ...
    async def settle(self, due: Settlement) -> str | None: ...


class Journal(Protocol):
    """Returns when the entry is on disk; raises `Unavailable` (journal_unavailable)."""

    async def append(self, entry: record.Entry) -> None: ...


class Meter(Protocol):
    """Counts what was decided, by code ("" is allowed), and the seconds that it took."""

    def decided(self, code: str, seconds: float) -> None: ...


class Clock(Protocol):
    """`now` is RFC 3339 in UTC; `monotonic` is in seconds."""

    def now(self) -> str: ...
    def monotonic(self) -> float: ...


@dataclass(slots=True)
class Gate:
    """All that the path of a request stands on. `treasury` is None where no spend is possible."""

    settings: Settings
    identity: Identity
    servers: Servers
    upstreams: Upstreams
    prices: Prices
    policy: Policy
    rate_limits: RateLimits
    treasury: Treasury | None
    journal: Journal
    meter: Meter
    clock: Clock


async def run(
    gate: Gate, principal: Principal, call: Call, forward: Forward, declared: Spend | None = None
) -> None:
    """Judge one call and, where it may, forward it; its whole answer has been sent when this returns.

    `declared` is the spend that a spend request names; what a tool call costs is told by the prices.
    Raises `Refusal` with the decision's id, after the refusal is on the journal.
    """
    began_s = gate.clock.monotonic()
    permit = _asked(gate, principal, call, declared)
    try:
        permit = await _price_and_decide(gate, permit)
        gate.rate_limits.take(principal, permit.verdict.obligations.get("rate_limit") or {})
        if stance(permit.verdict) == "pending":
            await _hold(gate, permit)
        require(permit.verdict)
        permit = await _hold(gate, permit)
    except Refusal as refusal:
        await _refuse(gate, permit, refusal, began_s)
        raise
    await _record(gate, permit, began_s)
    outcome = _UNTOLD
    try:
        outcome = await forward(permit)
    except Refusal as refusal:
        refusal.decision_id = permit.decision_id
        outcome = _outcome(refusal)
        raise
    finally:
        await _settle_and_record(gate, permit, outcome, began_s)
    await outcome.finish()


async def refuse(gate: Gate, principal: Principal, call: Call, refusal: Refusal) -> None:
    """Put on the journal that a known caller's request was refused before it could be judged.

    Gives the refusal its decision's id. `call` says as much as is known of the request.
    """
    permit = _asked(gate, principal, call)
    await _refuse(gate, permit, refusal, gate.clock.monotonic())


def _asked(gate: Gate, principal: Principal, call: Call, declared: Spend | None = None) -> Permit:
    """A call before it is judged; one that names no workflow belongs to its agent's standing one."""
    if not call.workflow_id:
        call = replace(call, workflow_id=standing_workflow(principal))
    return Permit(new_id(), call, principal, spend=declared, at=gate.clock.now())


async def _price_and_decide(gate: Gate, permit: Permit) -> Permit:
    """Ask policy; where it judged by another price than the gateway's, read the prices and ask once more.

    A call that cannot be priced may only lack the newest prices.
    """
    with contextlib.suppress(Denied):
        priced = await _decide(gate, permit, await gate.prices.table())
        if agrees(priced.spend, priced.verdict):
            return priced
    priced = await _decide(gate, permit, await gate.prices.reread())
    if stance(priced.verdict) != "denied" and not agrees(priced.spend, priced.verdict):
        raise unpriceable("policy judged by another price than the one that it tells")
    return priced


async def _decide(gate: Gate, permit: Permit, prices: PriceTable) -> Permit:
    spend = permit.spend or price(permit.call, permit.principal, prices)
    question = document(permit.call, permit.principal, spend, permit.at)
    return replace(permit, spend=spend, verdict=await gate.policy.decide(question))


async def _hold(gate: Gate, permit: Permit) -> Permit:
    """Have the money of a paid call held. Of a spend request the treasury is itself the upstream.

    Raises `Denied` with the approval's id where a person has to be asked while it is held.
    """
    if permit.call.kind == "spend" or not permit.verdict.obligations.get("hold"):
        return permit
    if gate.treasury is None:
        raise Unavailable("treasury_unavailable", "no treasury stands behind this gateway")
    return replace(permit, hold_id=await gate.treasury.hold(permit))


async def _record(gate: Gate, permit: Permit, began_s: float) -> None:
    """The decision is on disk when this returns; where it cannot be, what was held is released."""
    try:
        await gate.journal.append(record.decided(permit, _due(permit, _UNTOLD)))
    except Refusal as refusal:
        refusal.decision_id = permit.decision_id
        gate.meter.decided(refusal.code, gate.clock.monotonic() - began_s)
        await _settle(gate, _due(permit, _NEVER_SENT))
        raise
    gate.meter.decided("", gate.clock.monotonic() - began_s)


async def _refuse(gate: Gate, permit: Permit, refusal: Refusal, began_s: float) -> None:
    refusal.decision_id = permit.decision_id
    if isinstance(refusal, Denied):
        refusal.permit = permit
    gate.meter.decided(refusal.code, gate.clock.monotonic() - began_s)
    await gate.journal.append(record.refused(permit, refusal))


_UNTOLD = Outcome("unknown", 0, code="internal")
_NEVER_SENT = Outcome("failed", 0)


def _outcome(refusal: Refusal) -> Outcome:
    return Outcome("unknown" if isinstance(refusal, OutcomeUnknown) else "failed", 0, code=refusal.code)


def _due(permit: Permit, outcome: Outcome) -> Settlement | None:
    return settlement(permit, outcome.kind, outcome.status) if permit.hold_id else None


async def _settle(gate: Gate, due: Settlement | None) -> tuple[bool, str | None]:
    """Whether nothing is due any more, and the journal entry that was posted."""
    if due is None or gate.treasury is None:
        return True, None
    try:
        return True, await gate.treasury.settle(due)
    except Unavailable:
        return False, None


async def _settle_and_record(gate: Gate, permit: Permit, outcome: Outcome, began_s: float) -> None:
    """Settle the hold and put the outcome on the journal; what the treasury has not heard stays due there."""
    due = _due(permit, outcome)
    settled, journal_entry_id = await _settle(gate, due)
    ended = record.Ended(
        outcome=outcome.kind,
        status=outcome.status,
        code=outcome.code,
        duration_ms=int((gate.clock.monotonic() - began_s) * 1000),
        journal_entry_id=journal_entry_id or outcome.journal_entry_id,
    )
    await gate.journal.append(record.completed(permit, ended, gate.clock.now(), None if settled else due))
