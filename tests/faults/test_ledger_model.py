"""The ledger against a model of it in plain Python, step by step: whatever is asked in whatever order."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from adapters.postgres import Database
from schemas.ids import new_id
from tests.faults.length import TIMEOUT_S, WHOLE
from tests.fixtures.commands import a_command, a_warrant, an_intent
from tests.fixtures.treasury import LedgerDatabase
from treasury.core.authorization import Terms
from treasury.core.command import (
    Act,
    Answer,
    Authorize,
    CaptureHold,
    Command,
    Declare,
    Execute,
    Expire,
    MarkUnknown,
    Spend,
    Void,
    VoidHold,
)
from treasury.core.intent import Intent
from treasury.edge.batch import Batches, Limits
from treasury.edge.ledger import road
from treasury.edge.verify import verify
from treasury.errors import Refused

pytestmark = [
    pytest.mark.requirement("TRE-02"),
    pytest.mark.requirement("TRE-04"),
    pytest.mark.requirement("TRE-11"),
    pytest.mark.requirement("TRE-12"),
    pytest.mark.requirement("TRE-13"),
]

EXAMPLES, STEPS = (200, 80) if WHOLE else (8, 25)
LIMITS: Final = {"role:executor": 1_000, "agent:scout": 600, "tenant": 1_500}
Result = TypeVar("Result")


@dataclass
class Account:
    """A spend as the model knows it: how it stands, what it holds, and where it is charged."""

    intent: Intent
    status: str = "declared"
    budgets: tuple[str, ...] = ()
    unsettled: str = "release"
    hold_id: UUID | None = None
    is_unknown: bool = False
    is_due: bool = False
    captured_cents: int = 0

    @property
    def left_cents(self) -> int:
        return self.intent.money.amount_cents - self.captured_cents

    @property
    def is_open(self) -> bool:
        return self.status in ("pending", "approved")


@dataclass
class Model:
    """What the ledger should say. Amounts in cents; every method answers the code that is expected."""

    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0))
    captured: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0))
    charged: set[str] = field(default_factory=set)
    paid_cents: int = 0

    def authorize(self, account: Account, budgets: tuple[str, ...], verdict: str, unsettled: str) -> str:
        if account.is_open or account.status == "executed":
            return "duplicate"
        amount_cents = account.intent.money.amount_cents
        account.captured_cents, account.hold_id = 0, None
        if verdict == "denied":
            account.status = "denied"
            return account.status
        self.charged |= set(budgets)
        full = any(LIMITS[key] - self.held[key] - self.captured[key] < amount_cents for key in budgets)
        account.status = "denied" if full else verdict
        if not full:
            account.budgets, account.unsettled = budgets, unsettled
            account.is_unknown = account.is_due = False
            self._hold(account, amount_cents)
        return account.status

    def execute(self, account: Account, amount_cents: int | None) -> str:
        refused = {
            "pending": "authorization_not_approved",
            "expired": "authorization_expired",
            "voided": "authorization_voided",
            "denied": "no_authorization_record",
            "declared": "no_authorization_record",
        }
        if account.status in refused:
            return refused[account.status]
        if account.unsettled == "unknown":
            return "no_authorization_record"
        if account.status == "executed" and amount_cents is None:
            return "duplicate"
        wanted_cents = account.left_cents if amount_cents is None else amount_cents
        if wanted_cents > account.left_cents or account.status == "executed":
            return "spend_exceeds_ceiling"
        if account.is_due:
            return "authorization_expired"
        self._take(account, wanted_cents)
        return "executed"

    def settle(self, account: Account, amount_cents: int) -> str:
        refusal = self._not_settled(account)
        if refusal:
            return refusal
        if amount_cents > account.left_cents:
            return "spend_exceeds_ceiling"
        self._take(account, amount_cents)
        self._free(account)
        account.status = "executed"
        return "executed"

    def void_hold(self, account: Account) -> str:
        refusal = self._not_settled(account)
        if not refusal:
            self._end(account, "voided")
        return refusal or "voided"

    def mark_unknown(self, account: Account) -> str:
        refusal = self._not_settled(account)
        if not refusal:
            account.is_unknown = True
        return refusal or "unknown"

    def void(self, account: Account) -> str:
        if account.status in ("declared", "denied"):
            return "no_authorization_record"
        if account.status in _OVER:
            return _OVER[account.status]
        if account.status == "executed":
            return "duplicate"
        if account.status == "approved" and account.unsettled == "unknown":
            return "no_authorization_record"
        self._end(account, "voided")
        return "voided"

    def sweep(self, account: Account) -> None:
        if account.is_open and not account.is_unknown:
            if account.status == "approved" and account.unsettled == "unknown":
                account.is_unknown = True
            else:
                self._end(account, "expired")

    def _not_settled(self, account: Account) -> str | None:
        """Why a gateway may not settle this hold; None where it may."""
        if account.unsettled != "unknown":
            return "no_authorization_record"
        not_open = _OVER | {"pending": "authorization_not_approved", "executed": "duplicate"}
        return not_open.get(account.status)

    def _hold(self, account: Account, amount_cents: int) -> None:
        for key in account.budgets:
            self.held[key] += amount_cents

    def _take(self, account: Account, amount_cents: int) -> None:
        for key in account.budgets:
            self.held[key] -= amount_cents
            self.captured[key] += amount_cents
        account.captured_cents += amount_cents
        self.paid_cents += amount_cents
        if not account.left_cents:
            account.status = "executed"

    def _free(self, account: Account) -> None:
        for key in account.budgets:
            self.held[key] -= account.left_cents

    def _end(self, account: Account, status: str) -> None:
        self._free(account)
        account.status = status


_OVER: Final = {"voided": "authorization_voided", "expired": "authorization_expired"}


class Ledger(RuleBasedStateMachine):
    """Asks the ledger and the model the same; they answer alike and end alike."""

    accounts: Bundle[Account] = Bundle("accounts")
    admin_dsn = service_dsn = ""

    def __init__(self) -> None:
        super().__init__()
        self.tenant, self.model = new_id(), Model()
        self.known: list[Account] = []
        self.asked: list[tuple[Command, Any]] = []
        self.runner = asyncio.Runner()
        self.database = self._run(Database.open(self.service_dsn, application="model", pool_size=2))
        self.admin = self._run(asyncpg.connect(self.admin_dsn))
        self.batches = Batches(road(self.database, Terms(900, 86_400)), Limits(64, 100, 1, 1_000))

    def teardown(self) -> None:
        assert self._run(verify(self.admin)) == []
        self._run(self.admin.close())
        self._run(self.database.close())
        self.runner.close()

    @rule(target=accounts, cents=st.integers(1, 500))
    def declare(self, cents: int) -> Account:
        account = Account(an_intent(cents, tenant=self.tenant))
        self.known.append(account)
        assert self._ask(Declare(account.intent)) == "intent_created"
        return account

    @rule(
        target=accounts,
        cents=st.integers(1, 500),
        budgets=st.sets(st.sampled_from(sorted(LIMITS)), min_size=1),
        unsettled=st.sampled_from(["release", "unknown"]),
    )
    def spend(self, cents: int, budgets: set[str], unsettled: str) -> Account:
        account = Account(an_intent(cents, tenant=self.tenant))
        self.known.append(account)
        keys = tuple(sorted(budgets))
        warrant = self._warrant(account, keys, "approved", unsettled)
        expected = self.model.authorize(account, keys, "approved", unsettled)
        assert self._ask(Spend(warrant, account.intent), account) == expected
        return account

    @rule(
        account=accounts,
        budgets=st.sets(st.sampled_from(sorted(LIMITS)), min_size=1),
        verdict=st.sampled_from(["approved", "pending", "denied"]),
        unsettled=st.sampled_from(["release", "unknown"]),
    )
    def authorize(self, account: Account, budgets: set[str], verdict: str, unsettled: str) -> None:
        keys = tuple(sorted(budgets))
        warrant = self._warrant(account, keys, verdict, unsettled)
        expected = self.model.authorize(account, keys, verdict, unsettled)
        assert self._ask(Authorize(warrant, account.intent.id), account) == expected

    @rule(account=accounts, cents=st.none() | st.integers(1, 500))
    def execute(self, account: Account, cents: int | None) -> None:
        warrant = a_warrant(account.intent, "execute")
        act = Execute(warrant, account.intent.id, "vendor:1", cents)
        assert self._ask(act) == self.model.execute(account, cents)

    @rule(account=accounts)
    def void(self, account: Account) -> None:
        act = Void(a_warrant(account.intent, "void"), account.intent.id)
        assert self._ask(act) == self.model.void(account)

    @rule(account=accounts, cents=st.integers(1, 500))
    def capture(self, account: Account, cents: int) -> None:
        if account.hold_id:
            act = CaptureHold(account.hold_id, "tool:bank", cents)
            assert self._ask(act) == self.model.settle(account, cents)

    @rule(account=accounts)
    def void_hold(self, account: Account) -> None:
        if account.hold_id:
            assert self._ask(VoidHold(account.hold_id)) == self.model.void_hold(account)

    @rule(account=accounts)
    def lose_the_outcome(self, account: Account) -> None:
        if account.hold_id:
            assert self._ask(MarkUnknown(account.hold_id)) == self.model.mark_unknown(account)

    @rule(account=accounts)
    def let_time_pass(self, account: Account) -> None:
        """The clock is the database's and cannot be set: the hold's end is brought forward instead."""
        if account.hold_id and account.is_open:
            account.is_due = True
            statement = "UPDATE treasury.holds SET expires_at = placed_at WHERE tenant_id = $1 AND id = $2"
            self._run(self.admin.execute(statement, self.tenant, account.hold_id))

    @rule()
    def sweep(self) -> None:
        for account in [each for each in self.known if each.is_due and each.hold_id]:
            command = Command(self.tenant, new_id(), Expire(account.hold_id or UUID(int=0)))
            assert self._run(self.batches.do(command)) is None
            self.model.sweep(account)

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        if self.asked:
            command, answer = data.draw(st.sampled_from(self.asked), label="asked before")
            assert self._answer(command) == answer

    @rule(data=st.data())
    def show_a_used_warrant(self, data: st.DataObject) -> None:
        used = [command.act for command, _ in self.asked if command.warrant]
        if used:
            act = data.draw(st.sampled_from(used), label="used warrant")
            answer = self._answer(a_command(act, tenant=self.tenant))
            assert answer == ("NotAuthorized", "no_authorization_record")

    @invariant()
    def budgets_are_what_the_model_says(self) -> None:
        rows = self._run(
            self.admin.fetch(
                "SELECT budget_key, held_cents, captured_cents FROM treasury.budgets WHERE tenant_id = $1",
                self.tenant,
            )
        )
        assert {row["budget_key"] for row in rows} == self.model.charged
        for key, held_cents, captured_cents in rows:
            assert (held_cents, captured_cents) == (self.model.held[key], self.model.captured[key])
            assert held_cents + captured_cents <= LIMITS[key]

    @invariant()
    def debits_are_credits_and_what_was_paid(self) -> None:
        (row,) = self._run(
            self.admin.fetch(
                """SELECT coalesce(sum(debits_cents), 0) AS debits, coalesce(sum(credits_cents), 0) AS credits
                FROM treasury.account_balances WHERE tenant_id = $1""",
                self.tenant,
            )
        )
        assert row["debits"] == row["credits"] == self.model.paid_cents

    @invariant()
    def spends_stand_where_the_model_says(self) -> None:
        rows = self._run(
            self.admin.fetch("SELECT id, status FROM treasury.intents WHERE tenant_id = $1", self.tenant)
        )
        names = {"declared": "intent_created", "approved": "authorized"}
        expected = {each.intent.id: names.get(each.status, each.status) for each in self.known}
        assert {row["id"]: row["status"] for row in rows} == expected

    def _warrant(self, account: Account, keys: tuple[str, ...], verdict: str, unsettled: str) -> Any:
        budgets = [{"key": key, "window": "lifetime", "limit_cents": LIMITS[key]} for key in keys]
        role = "executive" if verdict == "pending" else None
        return a_warrant(
            account.intent, "authorize", budgets, verdict=verdict, unsettled=unsettled, approval_role=role
        )

    def _ask(self, act: Act, account: Account | None = None) -> str:
        """The status or the code that the ledger answers; the hold's id is kept."""
        command = a_command(act, tenant=self.tenant)
        answer = self._answer(command)
        self.asked.append((command, answer))
        if not isinstance(answer, Answer):
            return str(answer[1])
        if account is not None and answer.body.get("hold_id"):
            account.hold_id = UUID(answer.body["hold_id"])
        return str(answer.body.get("code") or answer.body["status"])

    def _answer(self, command: Command) -> Any:
        try:
            return self._run(self.batches.do(command))
        except Refused as refused:
            return type(refused).__name__, refused.code

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)


@pytest.mark.timeout(TIMEOUT_S)
async def test_the_ledger_is_what_the_model_says(ledger_database: LedgerDatabase) -> None:
    Ledger.admin_dsn, Ledger.service_dsn = ledger_database.admin, ledger_database.treasury
    machine = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    await asyncio.to_thread(run_state_machine_as_test, Ledger, settings=machine)
