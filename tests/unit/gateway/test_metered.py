"""A metered call over ports that the test fills, in virtual time: what it is charged, and what ends it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from gateway.config import Settings
from gateway.core.classify import Call
from gateway.core.decide import Verdict
from gateway.core.permit import Outcome, Permit
from gateway.core.price import table
from gateway.core.settle import Settlement
from gateway.core.usage import Part
from gateway.errors import BadRequest, OutcomeUnknown, Refusal, Stopped, Unavailable, UpstreamFailed
from tests.fixtures import virtual_time
from tests.unit.gateway.test_pipeline import World

pytestmark = [pytest.mark.requirement("TRE-15"), pytest.mark.requirement("GW-10")]

INTERVAL_S = 5.0
CALL = Call("tool_call", "gpu", "run", correlation_id="c")
PRICE = {
    "kind": "metered",
    "rate_cents": 2,
    "rate_seconds": 1,
    "max_seconds": 60,
    "charged_on_error": False,
}
GONE = Unavailable("treasury_unavailable", "gone")
Work = Callable[["Session"], Coroutine[Any, Any, Outcome]]


def judged(**price: Any) -> tuple[Verdict, Any]:
    rule = PRICE | price
    hold = {
        "ceiling_cents": 120,
        "budgets": [],
        "price": rule,
        "charged_on_error": rule["charged_on_error"],
    }
    roles = {"executor": {"tools": {"gpu.run": rule}, "patterns": []}}
    prices = table({"revision": "r", "currency": "USD", "roles": roles})
    return Verdict(True, (), {"hold": hold}, "1", "r"), prices


@dataclass
class Session(World):
    """The world of a metered call that does `work` once its request is sent, by the loop's own clock."""

    work: Work | None = None
    depletes_at_s: float = 1e9
    accrual: dict[int, Refusal] = field(default_factory=dict)
    accrued: list[tuple[float, Part]] = field(default_factory=list)
    cancelled: bool = False

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def accrue(self, permit: Permit, part: Part) -> tuple[str, ...]:
        assert permit.hold_id == "hold-1"
        self.accrued.append((self.monotonic(), part))
        refusal = self.accrual.get(len(self.accrued))
        if refusal is not None:
            raise refusal
        return ("role:executor",) if self.monotonic() >= self.depletes_at_s else ()

    async def forward(self, permit: Permit) -> Outcome:
        assert permit.begun is not None
        assert self.work is not None
        permit.begun()
        try:
            return await self.work(self)
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    @property
    def charged(self) -> int:
        """What the treasury was told in all, each part once."""
        (due,) = self.settled
        parts = {number: cents for _, (number, cents) in self.accrued} | dict(due.parts)
        return sum(parts.values()) + (due.amount_cents if due.act == "capture" else 0)


def session(work: Work, *, price: dict[str, Any] | None = None, **more: Any) -> Session:
    verdict, prices = judged(**(price or {}))
    return Session(verdicts=[verdict], prices=[prices], work=work, **more)


def live(one: Session) -> Settlement:
    """Run the call to its end; how it was settled."""
    virtual_time.run(one.run(CALL))
    (due,) = one.settled
    return due


def stopped(one: Session) -> tuple[Settlement, Refusal]:
    """The same of a call that does not end well."""

    async def call() -> Refusal:
        with pytest.raises(Refusal) as refused:
            await one.run(CALL)
        return refused.value

    refusal = virtual_time.run(call())
    (due,) = one.settled
    return due, refusal


def lasting(time_s: float, outcome: Outcome | Refusal) -> Work:
    async def work(_: Session) -> Outcome:
        await virtual_time.passes(time_s)
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    return work


def done(time_s: float) -> Work:
    return lasting(time_s, Outcome("succeeded", 200))


def test_a_call_accrues_each_interval_and_its_end_captures_the_rest() -> None:
    one = session(done(12.5))
    due = live(one)
    assert one.accrued == [(5.0, (1, 10)), (10.0, (2, 10))]
    assert (due.act, due.amount_cents, due.parts) == ("capture", 6, ())
    assert one.charged == 26
    assert one.entries[0].due is not None
    assert (one.entries[0].due.act, one.entries[0].due.parts) == ("unknown", ())
    assert (one.records[1]["outcome"], one.records[1]["code"]) == ("succeeded", None)


def test_a_short_call_is_only_captured() -> None:
    one = session(done(0.1))
    due = live(one)
    assert (one.accrued, due.act, due.amount_cents) == ([], "capture", 2)


def test_a_call_that_waits_for_a_connection_uses_nothing() -> None:
    one = session(done(0))

    async def forward(_: Permit) -> Outcome:
        await virtual_time.passes(20)
        raise UpstreamFailed("upstream_unreachable", "no connection")

    one.forward = forward
    due, refusal = stopped(one)
    assert (one.accrued, due.act, due.parts, refusal.code) == ([], "void", (), "upstream_unreachable")


@pytest.mark.parametrize(
    ("outcome", "act"),
    [(Outcome("failed", 500), "void"), (Outcome("unknown", 200, stopped=True), "capture")],
)
def test_what_accrued_before_an_error_stays_and_a_caller_who_leaves_pays_for_the_time(
    outcome: Outcome, act: str
) -> None:
    one = session(lasting(12.5, outcome))
    due = live(one)
    assert (due.act, due.parts, one.charged) == (act, (), 26 if act == "capture" else 20)


def test_an_error_is_charged_to_its_end_where_the_price_says_so() -> None:
    one = session(lasting(12.5, Outcome("failed", 500)), price={"charged_on_error": True})
    assert (live(one).act, one.charged) == ("capture", 26)


def test_after_a_break_what_was_used_is_charged_and_the_rest_is_unknown() -> None:
    one = session(lasting(12.5, OutcomeUnknown("upstream_invalid", "broke off")))
    due, refusal = stopped(one)
    assert (due.act, due.parts, one.charged) == ("unknown", ((3, 6),), 26)
    assert (one.records[1]["outcome"], refusal.code) == ("unknown", "upstream_invalid")


def test_a_depleted_budget_ends_the_call() -> None:
    one = session(done(1_000), depletes_at_s=9.0)
    due, refusal = stopped(one)
    assert isinstance(refusal, Stopped)
    assert (refusal.code, refusal.status, refusal.reasons[0]["code"]) == (
        "budget_exceeded",
        403,
        "budget_exceeded",
    )
    assert "role:executor" in str(refusal.detail)
    assert one.cancelled
    assert (due.act, due.parts, one.charged) == ("capture", (), 22)
    assert (one.records[1]["outcome"], one.records[1]["code"]) == ("unknown", "budget_exceeded")
    assert refusal.decision_id == one.records[1]["decision_id"]
    assert one.records[1]["duration_ms"] == 10_000


def test_a_call_uses_no_more_than_its_longest_time() -> None:
    one = session(done(1_000))
    due, refusal = stopped(one)
    assert (refusal.code, one.records[1]["code"]) == ("spend_exceeds_ceiling", "spend_exceeds_ceiling")
    assert (due.act, one.charged, one.cancelled) == ("capture", 120, True)
    assert one.records[1]["duration_ms"] == 60_000


def test_while_the_treasury_is_away_the_call_goes_on_and_the_same_part_is_told_again() -> None:
    one = session(done(21.5), accrual={1: GONE, 2: GONE})
    due = live(one)
    assert one.accrued == [(5.0, (1, 10)), (10.0, (1, 10)), (15.0, (1, 10)), (20.0, (2, 30))]
    assert (due.act, due.amount_cents, due.parts) == ("capture", 4, ())
    assert one.charged == 44


def test_a_treasury_that_stays_away_is_told_what_was_used_when_it_is_back() -> None:
    one = session(done(1_000), accrual=dict.fromkeys(range(1, 100), GONE), settle_refusal=GONE)
    due, refusal = stopped(one)
    assert refusal.code == "spend_exceeds_ceiling"
    assert (due.act, due.parts, due.amount_cents) == ("capture", ((1, 10),), 110)
    assert one.entries[1].due == due
    kept = orjson.loads(orjson.dumps(due.document()))
    assert Settlement.of(kept) == due
    del kept["parts"]
    assert Settlement.of(kept) == due._replace(parts=())


def test_a_treasury_that_takes_no_more_ends_the_call() -> None:
    one = session(done(1_000), accrual={2: BadRequest("duplicate", "the hold is captured already")})
    due, refusal = stopped(one)
    assert (refusal.code, one.records[1]["code"], one.cancelled) == ("duplicate", "duplicate", True)
    assert due.parts == ((2, 10),)


def test_what_a_call_used_while_the_treasury_hangs_is_bounded_by_its_longest_time() -> None:
    one = session(done(1_000))

    async def hangs(permit: Permit, part: Part) -> tuple[str, ...]:
        one.accrued.append((one.monotonic(), part))
        await virtual_time.passes(10_000)
        return ()

    one.accrue = hangs
    due, refusal = stopped(one)
    assert (refusal.code, one.records[1]["duration_ms"]) == ("spend_exceeds_ceiling", 60_000)
    assert (due.parts, one.charged) == (((1, 10),), 120)


def test_an_end_that_comes_with_an_accrual_under_way_tells_that_part_again() -> None:
    one = session(done(7.5))

    async def slow(permit: Permit, part: Part) -> tuple[str, ...]:
        one.accrued.append((one.monotonic(), part))
        await virtual_time.passes(4)
        return ()

    one.accrue = slow
    due = live(one)
    assert (due.act, due.parts, due.amount_cents, one.charged) == ("capture", ((1, 10),), 6, 16)


def test_a_gateway_that_is_told_to_end_within_a_call_leaves_the_rest_unknown() -> None:
    one = session(done(1_000))

    async def interrupted() -> None:
        call = asyncio.create_task(one.run(CALL))
        await virtual_time.passes(7.5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    virtual_time.run(interrupted())
    (due,) = one.settled
    assert (due.act, due.parts, one.charged, one.cancelled) == ("unknown", ((2, 6),), 16, True)


@pytest.mark.parametrize("fault", [RuntimeError("bug"), asyncio.CancelledError()])
def test_whatever_breaks_within_the_call_charges_what_was_used(fault: BaseException) -> None:
    async def work(_: Session) -> Outcome:
        await virtual_time.passes(3.5)
        raise fault

    async def call() -> None:
        with pytest.raises(type(fault)):
            await one.run(CALL)

    one = session(work)
    virtual_time.run(call())
    (due,) = one.settled
    assert (due.act, due.parts) == ("unknown", ((1, 8),))


def test_two_calls_of_one_budget_are_both_ended_when_it_is_depleted() -> None:
    """Each learns it from its own accrual, whichever of them used the last of it."""
    used: list[int] = []

    async def accrue(permit: Permit, part: Part) -> tuple[str, ...]:
        used.append(part[1])
        return ("role:executor",) if sum(used) > 30 else ()

    async def call(one: Session) -> str:
        with pytest.raises(Stopped) as refused:
            await one.run(CALL)
        return refused.value.code

    async def together() -> list[str]:
        return list(await asyncio.gather(call(first), call(second)))

    first, second = session(done(1_000)), session(done(1_000))
    first.accrue = second.accrue = accrue
    assert virtual_time.run(together()) == ["budget_exceeded"] * 2
    assert sum(used) == 40 + 10
    assert [one.records[1]["duration_ms"] for one in (first, second)] == [15_000, 10_000]


def test_the_interval_is_a_setting() -> None:
    assert Settings.model_fields["accrual_interval_s"].default == INTERVAL_S
