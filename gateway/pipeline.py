"""The path of a request, from top to bottom.

Each way in (`gateway.edge.http_tools`, `mcp`, `spends`) identifies its caller, makes a `Call` of its
request and gives both to `run` together with `forward`: a function that sends the request upstream,
relays the answer as it comes, keeps the last piece back and returns an `Outcome`. The last piece is sent
by `Outcome.finish`, after the money is settled and on the journal: whoever has the whole answer of a paid
call can rely on both. The outcome of a free call follows on the journal a moment later.

What stands around the path (OPA, the treasury, the journal, the clock) is a port of the `Gate`
(`gateway.ports`).
"""

import asyncio
from typing import NamedTuple

from gateway.core import record
from gateway.core.classify import Call
from gateway.core.decide import Spend, document, require
from gateway.core.hold import agrees, stance, standing_workflow
from gateway.core.identify import Principal
from gateway.core.permit import Forward, Outcome, Permit
from gateway.core.price import PriceTable, price, unpriceable
from gateway.core.settle import Settlement, settlement
from gateway.errors import Denied, OutcomeUnknown, Refusal, Stopped, Unavailable
from gateway.metered import forward_metered, metered
from gateway.ports import Gate
from schemas.ids import new_id


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
    permit, outcome = metered(permit), _UNTOLD
    try:
        usage = permit.usage
        outcome = await (forward(permit) if usage is None else forward_metered(gate, permit, usage, forward))
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
        call = call._replace(workflow_id=standing_workflow(principal))
    return Permit(new_id(), call, principal, spend=declared, at=gate.clock.now())


async def _price_and_decide(gate: Gate, permit: Permit) -> Permit:
    """Ask policy; where it judged by another price than the gateway's, read the prices and ask once more.

    All of it within the one time that a decision may take.
    """
    timeout_s = gate.settings.decision_timeout_ms / 1000
    end_s = gate.clock.monotonic() + timeout_s
    prices = gate.prices.known
    if prices is not None:
        try:
            priced = await _decide(gate, permit, prices)
            if agrees(priced.spend, priced.verdict):
                return priced
        except Denied:
            pass  # It may only lack the newest prices.
    try:
        async with asyncio.timeout(end_s - gate.clock.monotonic()):
            priced = await _decide(gate, permit, await gate.prices.reread())
    except TimeoutError:
        raise Unavailable("policy_unavailable", "policy was not asked in time", retry_after_s=1) from None
    if stance(priced.verdict) != "denied" and not agrees(priced.spend, priced.verdict):
        raise unpriceable("policy judged by another price than the one that it tells")
    return priced


async def _decide(gate: Gate, permit: Permit, prices: PriceTable) -> Permit:
    spend = permit.spend or price(permit.call, permit.principal, prices)
    question = document(permit.call, permit.principal, spend, permit.at)
    return permit.judged(spend, await gate.policy.decide(question))


async def _hold(gate: Gate, permit: Permit) -> Permit:
    """Have the money of a paid call held. Of a spend request the treasury is itself the upstream.

    Raises `Denied` with the approval's id where a person has to be asked while it is held.
    """
    if permit.call.kind == "spend" or not permit.verdict.obligations.get("hold"):
        return permit
    if gate.treasury is None:
        raise Unavailable("treasury_unavailable", "no treasury stands behind this gateway")
    return permit.held(await gate.treasury.hold(permit))


async def _record(gate: Gate, permit: Permit, began_s: float) -> None:
    """The decision is on disk when this returns; where it cannot be, what was held is released.

    Where the treasury does not hear of that either, it is noted for when journal and treasury are back.
    """
    try:
        await gate.journal.append(record.decided(permit, _due(permit, _UNTOLD)))
    except Refusal as refusal:
        refusal.decision_id = permit.decision_id
        gate.meter.decided(refusal.code, gate.clock.monotonic() - began_s)
        heard = await _settle(gate, _due(permit, _NEVER_SENT))
        if heard.due is not None:
            gate.journal.note(record.refused(permit, refusal, heard.due))
        raise
    gate.meter.decided("", gate.clock.monotonic() - began_s)


async def _refuse(gate: Gate, permit: Permit, refusal: Refusal, began_s: float) -> None:
    refusal.decision_id = permit.decision_id
    if isinstance(refusal, Denied):
        refusal.permit = permit
    gate.meter.decided(refusal.code, gate.clock.monotonic() - began_s)
    due = refusal.withdrawal if isinstance(refusal, Unavailable) else None
    entry = record.refused(permit, refusal, due)
    try:
        await gate.journal.append(entry)
    except Refusal:
        if due is not None:
            gate.journal.note(entry)
        raise


_UNTOLD = Outcome("unknown", 0, code="internal")
_NEVER_SENT = Outcome("failed", 0)


def _outcome(refusal: Refusal) -> Outcome:
    stopped = isinstance(refusal, Stopped)
    unknown = stopped or isinstance(refusal, OutcomeUnknown)
    return Outcome("unknown" if unknown else "failed", 0, code=refusal.code, stopped=stopped)


def _due(permit: Permit, outcome: Outcome) -> Settlement | None:
    return settlement(permit, outcome) if permit.hold_id else None


class _Heard(NamedTuple):
    """What the treasury said: the entry it posted, the code of its refusal, or what it has yet to hear."""

    journal_entry_id: str | None = None
    code: str | None = None
    due: Settlement | None = None


async def _settle(gate: Gate, due: Settlement | None) -> _Heard:
    if due is None or gate.treasury is None:
        return _Heard()
    try:
        return _Heard(await gate.treasury.settle(due))
    except Unavailable:
        return _Heard(due=due)
    except Refusal as refusal:
        return _Heard(code=refusal.code)


async def _settle_and_record(gate: Gate, permit: Permit, outcome: Outcome, began_s: float) -> None:
    """Settle the hold and put the outcome on the journal; what the treasury has not heard stays due there."""
    due = _due(permit, outcome)
    heard = await _settle(gate, due)
    ended = record.Ended(
        outcome=outcome.kind,
        status=outcome.status,
        code=heard.code or outcome.code,
        duration_ms=int((gate.clock.monotonic() - began_s) * 1000),
        journal_entry_id=heard.journal_entry_id or outcome.journal_entry_id,
    )
    entry = record.completed(permit, ended, gate.clock.now(), heard.due)
    if due is None:
        gate.journal.note(entry)
    else:
        await gate.journal.append(entry)
