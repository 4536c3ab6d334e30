"""A metered call on its way: it accrues what it uses while it runs, and is ended when it may use no more.

The call runs in a task of its own beside the one that accrues; whichever ends first ends the other, and the
time that it took is told then. It is ended by its longest time, by a budget that the treasury says is
depleted, and by a treasury that takes no more of it. A treasury that is away ends nothing: what it was told
and did not hear is told again, at the latest when the call is settled, and its money is held.
"""

import asyncio
from typing import Any

import structlog

from gateway.core.permit import Forward, Outcome, Permit
from gateway.core.usage import Usage, tariff
from gateway.errors import Refusal, Stopped, Unavailable
from gateway.ports import Gate, Treasury

log = structlog.get_logger(__name__)


def metered(permit: Permit) -> Permit:
    """The permit of a held call that goes on; with its usage, where it pays for its time."""
    found = tariff(permit.spend.price) if permit.spend is not None and permit.hold_id is not None else None
    return permit if found is None else permit._replace(usage=Usage(found))


async def forward_metered(gate: Gate, permit: Permit, usage: Usage, forward: Forward) -> Outcome:
    """Forward the call until it ends or must. Raises `Stopped`, and whatever `forward` raises."""
    sent = asyncio.Event()

    def begun() -> None:
        usage.begin(gate.clock.monotonic())
        sent.set()

    call = asyncio.ensure_future(forward(permit._replace(begun=begun)))
    limit = asyncio.create_task(_until_over(gate, permit, usage, sent))
    try:
        await asyncio.wait({call, limit}, return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            return call.result()
        raise limit.result()
    finally:
        usage.end(gate.clock.monotonic())
        await _ended(call, limit)


async def _until_over(gate: Gate, permit: Permit, usage: Usage, sent: asyncio.Event) -> Stopped:
    """Accrue until the call must end; answers why."""
    await sent.wait()
    longest_s = usage.tariff.max_seconds
    try:
        async with asyncio.timeout(longest_s):
            while True:
                await asyncio.sleep(gate.settings.accrual_interval_s)
                if gate.treasury is None:
                    continue
                depleted = await _accrue(gate, gate.treasury, permit, usage)
                if depleted:
                    why = f"the budget {depleted[0]} is depleted, so the call was ended"
                    return _stopped("budget_exceeded", why)
    except TimeoutError:
        return _stopped("spend_exceeds_ceiling", f"the call may take {longest_s} s and was ended after them")
    except Refusal as refusal:
        return _stopped(refusal.code, "the treasury takes no more of what the call uses, so it was ended")


async def _accrue(gate: Gate, treasury: Treasury, permit: Permit, usage: Usage) -> tuple[str, ...]:
    """Tell the treasury what was used, if it can be told now; which budgets are depleted."""
    part = usage.part(gate.clock.monotonic())
    if part is None:
        return ()
    try:
        depleted = await treasury.accrue(permit, part)
    except Unavailable as error:
        log.warning("accrual_waits", hold_id=permit.hold_id, part=part[0], why=str(error))
        return ()
    usage.heard()
    return depleted


def _stopped(code: str, why: str) -> Stopped:
    return Stopped(code, why, reasons=({"code": code, "message": why},))


async def _ended(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
