"""What the rules make of each command by itself, and of a batch in its order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ids import new_id
from schemas.warrant import Warrant
from tests.fixtures import commands as made
from tests.fixtures.commands import DAY, a_command, an_intent
from treasury.core.authorization import Terms
from treasury.core.batch import decide_all, hear
from treasury.core.budget import BudgetId, BudgetState, window_start
from treasury.core.command import (
    Act,
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
from treasury.core.execution import HeldSpend
from treasury.core.intent import Intent
from treasury.core.known import Held, Known
from treasury.core.ruling import Captured, Declared, Released, Unchanged, Unsettled, Wanted, rule
from treasury.core.workflow import Workflow
from treasury.errors import NotAuthorized, Refused

pytestmark = [pytest.mark.requirement("TRE-02"), pytest.mark.requirement("TRE-03")]

NOW = datetime.now(UTC)
INTENT = an_intent(100)
HOLD = UUID(new_id())
BUDGET = BudgetId("role:executor", "day", window_start("day", NOW), "USD")
TERMS = Terms(900, 86_400)


def a_warrant(intent: Intent, act: str, budgets: Sequence[dict[str, Any]] = (), **changes: Any) -> Warrant:
    """A warrant of this test's time."""
    times = {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 60}
    return made.a_warrant(intent, act, budgets, **(times | changes))


def held(
    authorization: str = "approved", hold: str = "placed", unsettled: str = "unknown", captured_cents: int = 0
) -> Held:
    spend = HeldSpend(authorization, hold, unsettled, 100, captured_cents, NOW + timedelta(seconds=900))
    intent = replace(INTENT, status="authorized")
    return Held(HOLD, UUID(new_id()), "decision", "gateway", spend, intent, (BUDGET,))


def known(of_it: Held | None = None, **changes: Any) -> Known:
    facts: dict[str, Any] = {"workflow": Workflow(INTENT.workflow_id), "intent": INTENT, "held": of_it}
    if of_it is not None:
        facts["authorization_status"] = of_it.spend.authorization_status
    return Known(**(facts | changes))


NEW = known(intent=None)
EXECUTE = Execute(a_warrant(INTENT, "execute"), INTENT.id, "vendor:1", None)


@pytest.mark.parametrize(
    ("act", "of_it", "ruling"),
    [
        (Declare(INTENT), NEW, Declared),
        (Spend(a_warrant(INTENT, "authorize"), INTENT), NEW, Wanted),
        (Authorize(a_warrant(INTENT, "authorize"), INTENT.id), known(), Wanted),
        (EXECUTE, known(held(unsettled="release")), Captured),
        (Void(a_warrant(INTENT, "void"), INTENT.id), known(held(unsettled="release")), Released),
        (CaptureHold(HOLD, "tool:bank", 40), known(held()), Captured),
        (VoidHold(HOLD), known(held()), Released),
        (Void(a_warrant(INTENT, "void"), INTENT.id), known(held("pending")), Released),
        (MarkUnknown(HOLD), known(held()), Unsettled),
        (MarkUnknown(HOLD), known(held(hold="unknown")), Unchanged),
        (Reconcile(HOLD, 40), known(held(hold="unknown")), Captured),
        (Reconcile(HOLD, None), known(held(hold="unknown")), Released),
    ],
)
def test_what_is_asked_rightly_is_done(act: Act, of_it: Known, ruling: type) -> None:
    assert type(rule(a_command(act), of_it, NOW)) is ruling


@pytest.mark.parametrize(
    ("act", "of_it", "code"),
    [
        (Declare(INTENT), known(), "duplicate"),
        (Declare(INTENT), known(intent=None, workflow=Workflow(HOLD, "suspended")), "workflow_suspended"),
        (Spend(a_warrant(INTENT, "authorize"), INTENT), known(), "duplicate"),
        (Authorize(a_warrant(INTENT, "authorize"), INTENT.id), known(held()), "duplicate"),
        (EXECUTE, known(), "no_authorization_record"),
        (EXECUTE, known(held("pending")), "authorization_not_approved"),
        (EXECUTE, known(held()), "no_authorization_record"),
        (replace(EXECUTE, amount_cents=1), known(held(hold="unknown")), "no_authorization_record"),
        (Void(a_warrant(INTENT, "void"), INTENT.id), known(held()), "no_authorization_record"),
        (replace(EXECUTE, amount_cents=101), known(held(unsettled="release")), "spend_exceeds_ceiling"),
        (
            Execute(
                a_warrant(INTENT, "execute", recipient_account="tollhouse:operating"),
                INTENT.id,
                "tollhouse:operating",
                None,
            ),
            known(held(unsettled="release")),
            "invalid",
        ),
        (
            Execute(a_warrant(INTENT, "execute", verdict="denied"), INTENT.id, "vendor:1", None),
            known(held(unsettled="release")),
            "no_authorization_record",
        ),
        (CaptureHold(HOLD, "tool:bank", 101), known(held()), "spend_exceeds_ceiling"),
        (CaptureHold(HOLD, "tool:bank", 1), known(held(unsettled="release")), "no_authorization_record"),
        (CaptureHold(HOLD, "tool:bank", 1), known(), "not_found"),
        (VoidHold(HOLD), known(replace(held(), gateway="another")), "not_found"),
        (VoidHold(HOLD), known(held("voided", "voided")), "authorization_voided"),
        (Reconcile(HOLD, 1), known(replace(held(), gateway="")), "duplicate"),
        (Declare(INTENT), known(workflow=None), "not_found"),
    ],
)
def test_what_may_not_be_is_refused_and_kept(act: Act, of_it: Known, code: str) -> None:
    asked_by_nobody = isinstance(act, Reconcile)
    command = Command("acme", "c", act) if asked_by_nobody else a_command(act)
    with pytest.raises(Refused) as refused:
        rule(command, of_it, NOW)
    assert (refused.value.code, type(refused.value)) == (code, Refused)


@pytest.mark.parametrize(
    ("act", "of_it", "why"),
    [
        (EXECUTE, known(held(), warrant_used=True), "used before"),
        (EXECUTE, known(intent=None), "no such intent"),
        (EXECUTE, known(intent=an_intent(100)), "another intent"),
        (Void(a_warrant(INTENT, "execute"), INTENT.id), known(held()), "another act"),
        (replace(EXECUTE, recipient_account="vendor:2"), known(held(unsettled="release")), "another account"),
        (Spend(a_warrant(INTENT, "authorize"), an_intent(100)), NEW, "another intent"),
        (Spend(a_warrant(INTENT, "authorize"), replace(INTENT, payee="thief")), NEW, "other terms"),
        (Authorize(a_warrant(INTENT, "authorize", exp=1), INTENT.id), known(), "expired"),
    ],
)
def test_a_warrant_that_is_not_good_leaves_no_trace(act: Act, of_it: Known, why: str) -> None:
    with pytest.raises(NotAuthorized, match=why):
        rule(a_command(act), of_it, NOW)


def test_nothing_is_authorized_for_an_intent_that_is_not_there() -> None:
    authorize = Command("acme", "c", Authorize(a_warrant(INTENT, "authorize"), INTENT.id))
    with pytest.raises(NotAuthorized, match="no such intent"):
        rule(authorize, known(intent=None), NOW)


def test_time_ends_what_is_still_open() -> None:
    expire = Command("acme", "c", Expire(HOLD))
    assert isinstance(rule(expire, known(held(unsettled="release")), NOW), Released)
    assert isinstance(rule(expire, known(held(unsettled="unknown")), NOW), Unsettled)
    assert rule(expire, known(held("executed", "captured")), NOW) == Unchanged(None)


acts = st.one_of(
    st.integers(1, 400).map(lambda cents: ("spend", cents)),
    st.integers(1, 100).map(lambda cents: ("capture", cents)),
    st.just(("void", 0)),
)


def _asked(kind: str, cents: int) -> tuple[Command, Known]:
    if kind == "spend":
        intent: Intent = an_intent(cents)
        act: Act = Spend(a_warrant(intent, "authorize", [DAY]), intent)
        return a_command(act), Known(workflow=Workflow(intent.workflow_id))
    return a_command(VoidHold(HOLD) if kind == "void" else CaptureHold(HOLD, "t", cents)), known(held())


@pytest.mark.requirement("TRE-11")
@settings(deadline=None)
@given(st.lists(acts, max_size=20))
def test_a_batch_is_decided_as_its_commands_one_by_one(wanted: list[tuple[str, int]]) -> None:
    asked = [_asked(*each) for each in wanted]
    start = {("acme", BUDGET): BudgetState(1_000, held_cents=100 * len(wanted))}
    commands, facts = [command for command, _ in asked], [of_it for _, of_it in asked]
    together, after = decide_all(hear(commands, facts, NOW), start, TERMS)
    serial, states = [], dict(start)
    for command, of_it in asked:
        docket = hear([command], [of_it], NOW)
        decisions, changed = decide_all(docket, {b: states[b] for b in docket.budgets()}, TERMS)
        serial += decisions
        states |= changed
    assert together == serial
    assert start | after == states
