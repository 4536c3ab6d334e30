"""The path of a request over ports that the test fills: what happens, in which order, and what never does."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.config import Settings
from gateway.core.classify import Call
from gateway.core.decide import Verdict
from gateway.core.identify import Principal
from gateway.core.permit import Outcome, Permit
from gateway.core.price import PriceTable, table
from gateway.core.record import Entry
from gateway.core.settle import Settlement
from gateway.errors import BadRequest, Denied, OutcomeUnknown, Refusal, Unavailable, UpstreamFailed
from gateway.pipeline import refuse, run
from gateway.ports import Gate
from schemas.record import Completed, Decided

SCOUT = Principal("scout", "executor", "acme", "api_key")
CALL = Call("tool_call", "bank", "send_money", {"amount": 5}, correlation_id="c")
FREE = Verdict(True, (), {}, "1", "r")
REFUSED = Verdict(False, ({"code": "tool_not_allowed", "message": "no"},), {}, "1", "r")
PRICE = {"kind": "argument", "argument": "amount", "currency": "USD", "charged_on_error": False}
PAID = FREE._replace(obligations={"hold": {"ceiling_cents": 500, "budgets": [], "price": PRICE}})
NO_PRICES = table({"revision": "r", "currency": "USD", "roles": {}})
PRICES = table(
    {
        "revision": "r",
        "currency": "USD",
        "roles": {"executor": {"tools": {"bank.send_money": PRICE}, "patterns": []}},
    }
)


@dataclass
class World:
    """Every port of the gate, and what happened at each, in order."""

    verdicts: list[Verdict | Refusal] = field(default_factory=lambda: [FREE])
    prices: list[PriceTable] = field(default_factory=lambda: [NO_PRICES])
    hold_refusal: Refusal | None = None
    settle_refusal: Refusal | None = None
    journal_refusals: list[Refusal | None] = field(default_factory=list)
    outcome: Outcome | BaseException = field(default_factory=lambda: Outcome("succeeded", 200))
    events: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    limited: bool = False

    @property
    def known(self) -> PriceTable | None:
        return self.prices[0]

    async def table(self) -> PriceTable:
        return self.prices[0]

    async def reread(self) -> PriceTable:
        self.events.append("reread")
        return self.prices[-1]

    async def decide(self, question: dict[str, Any]) -> Verdict:
        self.events.append("decide")
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(verdict, Refusal):
            raise verdict
        return verdict

    def take(self, principal: Principal, obligation: dict[str, Any]) -> None:
        if self.limited:
            raise BadRequest("rate_limited", "slower")

    async def hold(self, permit: Permit) -> str:
        self.events.append("hold")
        if self.hold_refusal:
            raise self.hold_refusal
        return "hold-1"

    async def settle(self, due: Settlement) -> str | None:
        self.events.append(f"settle {due.act}")
        self.settled.append(due)
        if self.settle_refusal:
            raise self.settle_refusal
        return "entry-1"

    async def append(self, entry: Entry) -> None:
        refusal = self.journal_refusals.pop(0) if self.journal_refusals else None
        if refusal:
            raise refusal
        self.events.append(entry.event)
        self.entries.append(entry)
        self.records.append(orjson.loads(entry.record))

    def note(self, entry: Entry) -> None:
        self.events.append(f"{entry.event} soon")
        self.entries.append(entry)
        self.records.append(orjson.loads(entry.record))

    def decided(self, code: str, seconds: float) -> None:
        self.counted.append(code)

    def now(self) -> str:
        return "2026-01-01T00:00:00.000Z"

    def monotonic(self) -> float:
        return 7.0

    async def forward(self, permit: Permit) -> Outcome:
        self.events.append("forward")
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return replace(self.outcome, finish=self.finish)

    async def finish(self) -> None:
        self.events.append("finish")

    async def run(self, call: Call = CALL, *, treasury: bool = True) -> None:
        await run(self.gate(treasury=treasury), SCOUT, call, self.forward)

    def gate(self, *, treasury: bool = True) -> Gate:
        port: Any = self
        return Gate(
            settings=Settings(registry_file=Path("r"), journal_dir=Path("j")),
            identity=port,
            servers=port,
            upstreams=port,
            prices=port,
            policy=port,
            rate_limits=port,
            treasury=port if treasury else None,
            journal=port,
            meter=port,
            clock=port,
        )


@pytest.mark.requirement("AUD-01")
async def test_a_decision_is_on_record_before_the_forward_and_the_outcome_of_a_free_call_follows() -> None:
    world = World()
    await world.run()
    assert world.events == ["decide", "decided", "forward", "completed soon", "finish"]
    assert world.counted == [""]


@pytest.mark.requirement("AUD-02")
async def test_records_keep_the_contract() -> None:
    world = World(verdicts=[PAID], prices=[PRICES])
    await world.run()
    decided, completed = Decided.model_validate(world.records[0]), Completed.model_validate(world.records[1])
    assert decided.decision_id == completed.decision_id
    assert (decided.principal["id"], decided.action["name"], decided.hold_id) == (
        "scout",
        "bank.send_money",
        "hold-1",
    )
    assert (completed.outcome, completed.status, completed.journal_entry_id) == ("succeeded", 200, "entry-1")
    assert decided.policy == {"version": "1", "revision": "r"}
    assert decided.spend == {"amount_cents": 500, "currency": "USD", "purpose": "tool_call", "payee": "bank"}


@pytest.mark.requirement("GW-01")
async def test_a_refusal_is_on_record_and_nothing_is_forwarded() -> None:
    world = World(verdicts=[REFUSED])
    with pytest.raises(Denied) as refused:
        await world.run()
    assert world.events == ["decide", "decided"]
    assert world.records[0]["allow"] is False
    assert world.records[0]["decision_id"] == refused.value.decision_id
    assert refused.value.permit is not None
    assert refused.value.permit.verdict == REFUSED
    assert world.counted == ["tool_not_allowed"]


@pytest.mark.requirement("GW-19")
async def test_without_policy_nothing_is_forwarded() -> None:
    world = World(verdicts=[Unavailable("policy_unavailable", "gone")])
    with pytest.raises(Unavailable):
        await world.run()
    assert world.events == ["decide", "decided"]
    assert world.records[0]["reasons"][0]["code"] == "policy_unavailable"


@pytest.mark.requirement("GW-19")
async def test_without_journal_nothing_is_forwarded_and_what_was_held_is_released() -> None:
    world = World(
        verdicts=[PAID], prices=[PRICES], journal_refusals=[Unavailable("journal_unavailable", "full")]
    )
    with pytest.raises(Unavailable) as refused:
        await world.run()
    assert refused.value.decision_id is not None
    assert world.events == ["decide", "hold", "settle void"]


async def test_what_cannot_be_recorded_as_refused_is_refused_for_that() -> None:
    world = World(verdicts=[REFUSED], journal_refusals=[Unavailable("journal_unavailable", "full")])
    with pytest.raises(Unavailable):
        await world.run()


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    ("outcome", "act"),
    [
        (Outcome("succeeded", 200), "capture"),
        (Outcome("failed", 500), "void"),
        (Outcome("unknown", 200), "unknown"),
    ],
)
async def test_a_paid_call_is_held_before_and_settled_after(outcome: Outcome, act: str) -> None:
    world = World(verdicts=[PAID], prices=[PRICES], outcome=outcome)
    await world.run()
    assert world.events == ["decide", "hold", "decided", "forward", f"settle {act}", "completed", "finish"]
    assert world.entries[0].due is not None
    assert world.entries[0].due.act == "unknown"
    assert world.entries[1].due is None


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize(
    ("error", "act", "outcome"),
    [
        (UpstreamFailed("upstream_unreachable", "no"), "void", "failed"),
        (OutcomeUnknown("upstream_timeout", "late"), "unknown", "unknown"),
    ],
)
async def test_a_failed_forward_is_settled_by_what_is_certain(error: Refusal, act: str, outcome: str) -> None:
    world = World(verdicts=[PAID], prices=[PRICES], outcome=error)
    with pytest.raises(type(error)) as refused:
        await world.run()
    assert world.settled[0].act == act
    assert (world.records[1]["outcome"], world.records[1]["code"]) == (outcome, error.code)
    assert refused.value.decision_id == world.records[0]["decision_id"]


@pytest.mark.requirement("GW-10")
@pytest.mark.parametrize("error", [RuntimeError("bug"), asyncio.CancelledError()])
async def test_whatever_breaks_within_the_forward_leaves_the_outcome_unknown(error: BaseException) -> None:
    world = World(verdicts=[PAID], prices=[PRICES], outcome=error)
    with pytest.raises(type(error)):
        await world.run()
    assert world.settled[0].act == "unknown"
    assert world.records[1]["outcome"] == "unknown"


@pytest.mark.requirement("GW-10")
async def test_a_tools_error_is_charged_where_the_price_says_so() -> None:
    hold = {**PAID.obligations["hold"], "charged_on_error": True}
    charged = World(
        verdicts=[PAID._replace(obligations={"hold": hold})], prices=[PRICES], outcome=Outcome("failed", 500)
    )
    await charged.run()
    assert charged.settled[0].act == "capture"
    unsent = World(
        verdicts=[PAID._replace(obligations={"hold": hold})], prices=[PRICES], outcome=Outcome("failed", 0)
    )
    await unsent.run()
    assert unsent.settled[0].act == "void"


@pytest.mark.requirement("GW-10")
async def test_a_settlement_that_was_not_heard_stays_due() -> None:
    world = World(
        verdicts=[PAID], prices=[PRICES], settle_refusal=Unavailable("treasury_unavailable", "gone")
    )
    await world.run()
    assert world.entries[1].due == world.settled[0]
    assert world.records[1]["journal_entry_id"] is None


@pytest.mark.requirement("GW-19")
@pytest.mark.parametrize("treasury", [True, False])
async def test_without_treasury_a_paid_call_is_refused_and_a_free_one_goes_on(treasury: bool) -> None:
    gone = Unavailable("treasury_unavailable", "gone")
    paid = World(verdicts=[PAID], prices=[PRICES], hold_refusal=gone)
    with pytest.raises(Unavailable) as refused:
        await paid.run(treasury=treasury)
    assert refused.value.code == "treasury_unavailable"
    assert "forward" not in paid.events
    free = World(hold_refusal=gone)
    await free.run(treasury=treasury)
    assert "forward" in free.events


@pytest.mark.requirement("GW-10")
async def test_a_price_that_has_changed_is_read_again_and_the_call_judged_again_once() -> None:
    world = World(verdicts=[PAID], prices=[NO_PRICES, PRICES])
    await world.run()
    assert world.events[:3] == ["decide", "reread", "decide"]
    assert world.settled[0].amount_cents == 500
    stubborn = World(verdicts=[PAID], prices=[NO_PRICES])
    with pytest.raises(Denied):
        await stubborn.run()
    assert "forward" not in stubborn.events


@pytest.mark.requirement("GW-10")
async def test_a_call_that_cannot_be_priced_is_refused() -> None:
    world = World(verdicts=[PAID], prices=[PRICES])
    with pytest.raises(Denied) as refused:
        await world.run(CALL._replace(arguments={}))
    assert refused.value.code == "call_unpriceable"
    assert "forward" not in world.events


@pytest.mark.requirement("GW-13")
@pytest.mark.parametrize("verdicts", [[FREE], [REFUSED]])
async def test_a_limited_call_is_refused_and_on_record(verdicts: list[Verdict]) -> None:
    world = World(verdicts=verdicts, limited=True)
    with pytest.raises(BadRequest):
        await world.run()
    assert world.records[0]["reasons"][0]["code"] == "rate_limited"
    assert "forward" not in world.events


@pytest.mark.requirement("AUD-01")
async def test_a_request_that_never_became_a_call_is_on_record_too() -> None:
    world = World()
    refusal = BadRequest("malformed", "what?")
    await refuse(world.gate(), SCOUT, Call("tool_call", "", "GET"), refusal)
    assert Decided.model_validate(world.records[0]).reasons[0].code == "malformed"
    assert refusal.decision_id == world.records[0]["decision_id"]
    invalid = BadRequest("invalid", [{"loc": ["amount_cents"], "message": "no"}])
    await refuse(world.gate(), SCOUT, CALL, invalid)
    assert world.records[1]["reasons"][0]["message"] == "the request is not valid"


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("AUD-02")
async def test_a_settlement_that_was_refused_is_on_record_and_not_due() -> None:
    world = World(
        verdicts=[PAID], prices=[PRICES], settle_refusal=BadRequest("authorization_voided", "given up")
    )
    await world.run()
    assert world.entries[1].due is None
    ended = Completed.model_validate(world.records[1])
    assert (ended.outcome, ended.code, ended.journal_entry_id) == ("succeeded", "authorization_voided", None)


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
async def test_a_hold_that_neither_journal_nor_treasury_heard_of_is_noted_to_be_voided() -> None:
    world = World(
        verdicts=[PAID],
        prices=[PRICES],
        journal_refusals=[Unavailable("journal_unavailable", "full")],
        settle_refusal=Unavailable("treasury_unavailable", "gone"),
    )
    with pytest.raises(Unavailable):
        await world.run()
    assert world.events == ["decide", "hold", "settle void", "decided soon"]
    (noted,) = world.entries
    assert noted.due == world.settled[0]
    record = Decided.model_validate_json(noted.record)
    assert (record.allow, record.reasons[0].code) == (False, "journal_unavailable")


@pytest.mark.requirement("GW-10")
@pytest.mark.requirement("GW-19")
async def test_a_withdrawal_that_the_journal_does_not_take_is_noted() -> None:
    gone = Unavailable("treasury_unavailable", "gone")
    gone.withdrawal = Settlement("d", "withdraw", "acme", "scout", "c", 0, "")
    full = Unavailable("journal_unavailable", "full")
    world = World(verdicts=[PAID], prices=[PRICES], hold_refusal=gone, journal_refusals=[full])
    with pytest.raises(Unavailable):
        await world.run()
    (noted,) = world.entries
    assert (noted.due, world.events[-1]) == (gone.withdrawal, "decided soon")
