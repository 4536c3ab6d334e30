"""What the rules answer, to the last word: the rulings whole, the refusals with what they tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.decision import Budget
from schemas.ids import new_id
from tests.fixtures.commands import DAY, a_command, a_warrant, an_intent
from treasury.core.authorization import Outcome, Request, Terms
from treasury.core.batch import Authorized, decide_all, hear
from treasury.core.budget import BudgetId, BudgetState, window_start
from treasury.core.command import (
    Accrue,
    Act,
    Answer,
    Authorize,
    CaptureHold,
    Command,
    Declare,
    Execute,
    Expire,
    MarkUnknown,
    Reconcile,
    Spend,
    Void,
    VoidHold,
)
from treasury.core.execution import Capture, HeldSpend
from treasury.core.known import Held, Known
from treasury.core.money import Money
from treasury.core.posting import OPERATING, JournalEntry
from treasury.core.ruling import Captured, Declared, Released, Ruling, Unchanged, Unsettled, Wanted, rule
from treasury.core.workflow import Workflow
from treasury.errors import NotAuthorized, Refused

pytestmark = [pytest.mark.requirement("TRE-02"), pytest.mark.requirement("TRE-12")]

NOW = datetime.now(UTC)
INTENT = an_intent(100)
HOLD, AUTHORIZATION = UUID(new_id()), UUID(new_id())
BUDGET = BudgetId("role:executor", "day", window_start("day", NOW), "USD")
TERMS = Terms(900, 86_400)
WORKFLOW = Workflow(INTENT.workflow_id)
NEW = Known(workflow=WORKFLOW)
DECLARED = Known(workflow=WORKFLOW, intent=INTENT)


def held(
    authorization: str = "approved", hold: str = "placed", unsettled: str = "unknown", captured_cents: int = 0
) -> Held:
    spend = HeldSpend(authorization, hold, unsettled, 100, captured_cents, NOW + timedelta(seconds=900))
    return Held(HOLD, AUTHORIZATION, "decision", "gateway", spend, INTENT, (BUDGET,))


def known(of_it: Held, **changes: Any) -> Known:
    return replace(DECLARED, held=of_it, authorization_status=of_it.spend.authorization_status, **changes)


def paid(account: str, cents: int) -> JournalEntry:
    return JournalEntry(account, OPERATING, Money(cents, "USD"))


def ended(status: str) -> Answer:
    return Answer(200, {"hold_id": str(HOLD), "status": status})


AUTHORIZE = a_warrant(INTENT, "authorize", [DAY])
EXECUTE = Execute(a_warrant(INTENT, "execute"), INTENT.id, "vendor:1", None)
VOID = Void(a_warrant(INTENT, "void"), INTENT.id)
VOIDED = {"intent_id": str(INTENT.id), "authorization_id": str(AUTHORIZATION), "status": "voided"}
CALL, SPEND, UNKNOWN = held(), held(unsettled="release"), held(hold="unknown")
PART = held(captured_cents=60)


@pytest.mark.parametrize(
    ("act", "of_it", "ruling"),
    [
        (Declare(INTENT), NEW, Declared(INTENT)),
        (Spend(AUTHORIZE, INTENT), NEW, Wanted(Request(AUTHORIZE, INTENT), declares=True)),
        (Authorize(AUTHORIZE, INTENT.id), DECLARED, Wanted(Request(AUTHORIZE, INTENT), declares=False)),
        (EXECUTE, known(SPEND), Captured(SPEND, Capture(100, 0, closes=True), paid("vendor:1", 100))),
        (
            replace(EXECUTE, amount_cents=30),
            known(SPEND),
            Captured(SPEND, Capture(30, 0, closes=False), paid("vendor:1", 30)),
        ),
        (VOID, known(SPEND), Released(SPEND, "voided", Answer(200, VOIDED))),
        (
            CaptureHold(HOLD, "tool:a", 40),
            known(CALL),
            Captured(CALL, Capture(40, 60, closes=True), paid("tool:a", 40)),
        ),
        (
            Accrue(HOLD, "tool:a", 40),
            known(CALL),
            Captured(CALL, Capture(40, 0, closes=False), paid("tool:a", 40)),
        ),
        (
            Accrue(HOLD, "tool:a", 40),
            known(PART),
            Captured(PART, Capture(40, 0, closes=True), paid("tool:a", 40)),
        ),
        (VoidHold(HOLD), known(CALL), Released(CALL, "voided", ended("voided"))),
        (MarkUnknown(HOLD), known(CALL), Unsettled(CALL, ended("unknown"))),
        (MarkUnknown(HOLD), known(UNKNOWN), Unchanged(ended("unknown"))),
    ],
)
def test_what_is_asked_comes_to_this(act: Act, of_it: Known, ruling: Ruling) -> None:
    assert rule(a_command(act), of_it, NOW) == ruling


@pytest.mark.parametrize(
    ("act", "of_it", "ruling"),
    [
        (Expire(HOLD), SPEND, Released(SPEND, "expired", None)),
        (Expire(HOLD), CALL, Unsettled(CALL, None)),
        (Expire(HOLD), UNKNOWN, Unchanged(None)),
        (
            Reconcile(HOLD, 40),
            UNKNOWN,
            Captured(UNKNOWN, Capture(40, 60, closes=True), paid("bank", 40)),
        ),
        (Reconcile(HOLD, None), UNKNOWN, Released(UNKNOWN, "voided", None)),
    ],
)
def test_what_the_house_does_by_itself_is_answered_to_nobody(act: Act, of_it: Held, ruling: Ruling) -> None:
    assert rule(Command("acme", "c", act), known(of_it), NOW) == ruling


NO_POLICY = Execute(a_warrant(INTENT, "execute", verdict="denied"), INTENT.id, "vendor:1", None)
ABOVE = replace(EXECUTE, amount_cents=101)


@pytest.mark.parametrize(
    ("act", "of_it", "code", "told"),
    [
        (Declare(INTENT), DECLARED, "duplicate", "this intent was declared before"),
        (
            Authorize(AUTHORIZE, INTENT.id),
            known(SPEND),
            "duplicate",
            "this intent has an authorization that lives",
        ),
        (NO_POLICY, known(SPEND), "no_authorization_record", "policy does not allow this execution"),
        (EXECUTE, DECLARED, "no_authorization_record", "this intent has no authorization"),
        (
            EXECUTE,
            known(CALL),
            "no_authorization_record",
            "the hold of a paid call is settled by its gateway alone",
        ),
        (
            EXECUTE,
            known(held("executed", "captured", "release", 100)),
            "duplicate",
            "the authorization was executed already",
        ),
        (
            ABOVE,
            known(SPEND),
            "spend_exceeds_ceiling",
            "101 is more than the 100 minor units left of the authorization",
        ),
        (
            VOID,
            known(held("executed", "captured", "release", 100)),
            "duplicate",
            "the authorization was executed already",
        ),
        (
            VOID,
            known(CALL),
            "no_authorization_record",
            "the hold of a paid call is settled by its gateway alone",
        ),
        (VOID, known(held("voided", "voided")), "authorization_voided", "the authorization was voided"),
        (VOID, known(held("expired", "expired")), "authorization_expired", "the authorization has expired"),
        (VOID, known(held("denied")), "no_authorization_record", "this spend was denied"),
        (
            EXECUTE,
            known(held("pending")),
            "authorization_not_approved",
            "a person has to approve this spend first",
        ),
        (VoidHold(HOLD), DECLARED, "not_found", "there is no such hold"),
        (
            VoidHold(HOLD),
            known(SPEND),
            "no_authorization_record",
            "the hold of a spend is settled with a warrant alone",
        ),
        (VoidHold(HOLD), known(held("executed", "captured")), "duplicate", "the hold is captured already"),
        (
            Accrue(HOLD, "t", 41),
            known(PART),
            "spend_exceeds_ceiling",
            "41 is more than the 40 minor units held",
        ),
        (Declare(INTENT), Known(), "not_found", "there is no such workflow"),
        (
            Declare(INTENT),
            Known(workflow=replace(WORKFLOW, status="finished")),
            "workflow_suspended",
            "the workflow is finished: it spends nothing",
        ),
        (
            Spend(AUTHORIZE, INTENT),
            Known(workflow=replace(WORKFLOW, budget=Money(5, "EUR"))),
            "currency_not_allowed",
            "this workflow's budget is in EUR",
        ),
    ],
)
def test_a_refusal_tells_why(act: Act, of_it: Known, code: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        rule(a_command(act), of_it, NOW)
    assert (type(refused.value), refused.value.code, refused.value.detail) == (Refused, code, told)


@pytest.mark.parametrize(
    ("act", "of_it", "told"),
    [
        (EXECUTE, known(SPEND, warrant_used=True), "the warrant was refused: it was used before"),
        (EXECUTE, NEW, "there is no such intent"),
    ],
)
def test_a_warrant_that_is_worth_nothing_tells_why(act: Act, of_it: Known, told: str) -> None:
    with pytest.raises(NotAuthorized) as refused:
        rule(a_command(act), of_it, NOW)
    assert (refused.value.code, refused.value.detail) == ("no_authorization_record", told)


def test_a_command_of_nobody_needs_its_intent_too() -> None:
    with pytest.raises(NotAuthorized) as refused:
        rule(Command("acme", "c", Authorize(AUTHORIZE, INTENT.id)), NEW, NOW)
    assert (refused.value.code, refused.value.detail) == (
        "no_authorization_record",
        "there is no such intent",
    )


def test_a_settled_hold_is_not_reconciled() -> None:
    with pytest.raises(Refused) as refused:
        rule(Command("acme", "c", Reconcile(HOLD, 1)), known(CALL), NOW)
    assert (refused.value.code, refused.value.detail) == ("duplicate", "the hold is placed already")


def test_a_workflows_budget_is_one_more() -> None:
    bound = replace(WORKFLOW, budget=Money(70, "USD"))
    ruling = rule(a_command(Authorize(AUTHORIZE, INTENT.id)), replace(DECLARED, workflow=bound), NOW)
    assert isinstance(ruling, Wanted)
    own = Budget(key=f"workflow:{INTENT.workflow_id}", window="lifetime", limit_cents=70)
    assert ruling.request.warrant.budgets == (*AUTHORIZE.budgets, own)


@pytest.mark.requirement("TRE-15")
def test_what_is_captured_tells_which_of_its_budgets_are_depleted() -> None:
    month, tenant = replace(BUDGET, window="month"), replace(BUDGET, key="tenant:acme")
    charged = replace(CALL, charged=(tenant, month, BUDGET))
    docket = hear([a_command(Accrue(HOLD, "tool:a", 40))], [known(charged)], NOW)
    ample, last = BudgetState(41, 100), BudgetState(40, 100)
    states = {("acme", tenant): ample, ("acme", month): last, ("acme", BUDGET): last}
    for limit_cents, depleted in ((41, ("role:executor",)), (39, ("role:executor", "tenant:acme"))):
        states["acme", tenant] = replace(ample, limit_cents=limit_cents)
        (decided,), _ = decide_all(docket, states, TERMS)
        assert isinstance(decided, Captured)
        assert decided.depleted == depleted


@pytest.mark.requirement("TRE-11")
def test_a_batch_is_decided_and_its_budgets_change() -> None:
    """A spend, a capture that gives back, a void and what is refused: each with what it leaves."""
    acts: list[tuple[Act, Known]] = [
        (Spend(AUTHORIZE, INTENT), NEW),
        (CaptureHold(HOLD, "tool:a", 40), known(PART)),
        (VoidHold(HOLD), known(held(captured_cents=30))),
        (Declare(INTENT), DECLARED),
        (MarkUnknown(HOLD), known(CALL)),
    ]
    docket = hear([a_command(act) for act, _ in acts], [of_it for _, of_it in acts], NOW)
    assert docket.budgets() == {("acme", BUDGET)}
    decisions, changed = decide_all(docket, {("acme", BUDGET): BudgetState(500, 300, 60)}, TERMS)
    within = ({"code": "within_daily_budget", "message": "the spend is within its budgets"},)
    outcome = Outcome("approved", within, 100, (BUDGET,), NOW + timedelta(seconds=900))
    assert decisions[0] == Authorized(Request(AUTHORIZE, INTENT), outcome, declares=True)
    assert [type(decided) for decided in decisions[1:]] == [Captured, Released, Refused, Unsettled]
    assert changed == {("acme", BUDGET): BudgetState(1_000, 300 + 100 - 40 - 70, 60 + 40)}
