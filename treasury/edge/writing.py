"""What each decision of a batch leaves behind: its rows, its event, and the answer to who asked.

The rows of the ledger are made first, so that the database is at work on them while events and answers are
put into words: those take a third of the time that a batch needs here.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from schemas.events import registry
from schemas.ids import new_id
from schemas.warrant import Warrant
from treasury.core.authorization import AUTHORIZATION, HOLD
from treasury.core.batch import Authorized, Decided
from treasury.core.command import Accrue, Answer, Command
from treasury.core.intent import FOLLOWS, INTENT, Intent
from treasury.core.known import Held
from treasury.core.lifecycle import UNBORN
from treasury.core.ruling import Captured, Declared, Released, Unsettled
from treasury.edge import documents
from treasury.edge.commit import instant
from treasury.edge.rows import Rows
from treasury.errors import Refused

_EVENTS: Final = {
    "approved": "treasury.authorized",
    "pending": "treasury.pending",
    "denied": "treasury.denied",
}


Tell = Callable[[], Answer | None]
"""Puts what happened into words: adds its events, and gives the answer."""


class Writing:
    """Turns decisions into `rows`; everything happens at `at`."""

    def __init__(self, at: datetime) -> None:
        self.rows = Rows()
        self._at = at
        self._untold: list[tuple[Command, Tell]] = []

    def add(self, command: Command, decided: Decided) -> None:
        """The rows of the ledger that a decision leaves; events and answers have to be told yet."""
        if command.warrant is not None:
            self.rows.warrants.append(_warrant_row(command.tenant, command.warrant))
        self._untold.append((command, self._add(command, decided)))

    def tell(self) -> list[Answer | None]:
        """The answers in the order of the commands, None where nobody asked; rows of events and answers wait.

        Raises `EventRefused` where what happened cannot be told.
        """
        return [self._tell_of(command, tell) for command, tell in self._untold]

    def _tell_of(self, command: Command, tell: Tell) -> Answer | None:
        answer, asked = tell(), command.asked
        if asked is not None and answer is not None:
            text = orjson.dumps(answer.body).decode()
            self.rows.answers.append((command.tenant, asked.key, asked.sha256(), answer.status, text))
        return answer

    def _add(self, command: Command, decided: Decided) -> Tell:
        if isinstance(decided, Refused):
            refusal = Answer(decided.status, {"code": decided.code, "detail": decided.detail})
            return lambda: refusal
        match decided:
            case Declared(intent):
                return self._declare(command, intent)
            case Authorized():
                return self._authorize(command, decided)
            case Captured():
                return self._capture(command, decided)
            case Released(held, status, answer):
                return self._release(command, held, status, answer)
            case Unsettled(held, answer):
                return self._keep_as_unknown(command, held, answer)
            case _:
                return lambda: decided.answer

    def _declare(self, command: Command, intent: Intent) -> Tell:
        self._add_intent(intent, "intent_created")

        def tell() -> Answer:
            self._tell_intent(command, intent)
            document = documents.intent(intent, None)
            return Answer(201, document | {"created_at": instant(self._at)})

        return tell

    def _add_intent(self, intent: Intent, status: str) -> None:
        self.rows.intents.append(
            (
                intent.tenant,
                intent.id,
                intent.workflow_id,
                intent.money.amount_cents,
                intent.money.currency,
                intent.purpose,
                intent.payee,
                intent.principal,
                intent.policy_version,
                INTENT.step(UNBORN, status),
                self._at,
            )
        )

    def _tell_intent(self, command: Command, intent: Intent) -> None:
        self._tell(command, "treasury.intent_created", intent, policy_version=intent.policy_version)

    def _authorize(self, command: Command, decided: Authorized) -> Tell:
        outcome, intent = decided.outcome, decided.request.intent
        authorization_id = new_id()
        status = FOLLOWS[outcome.status]
        if decided.declares:
            self._add_intent(intent, status)
        else:
            self._move_intent(intent, status)
        document = self._add_authorization(decided, authorization_id)
        hold: dict[str, Any] = {
            "hold_id": None,
            "unsettled": None,
            "captured_cents": 0,
            "expires_at": outcome.expires_at,
        }
        if outcome.expires_at is not None:
            hold["hold_id"] = self._add_hold(decided, authorization_id)
            hold["unsettled"] = decided.request.warrant.unsettled

        def tell() -> Answer:
            if decided.declares:
                self._tell_intent(command, intent)
            payload = _authorization_told(decided, authorization_id, hold["hold_id"])
            self._tell(command, _EVENTS[outcome.status], intent, **payload)
            return Answer(200, documents.authorization(document | hold))

        return tell

    def _add_authorization(self, decided: Authorized, authorization_id: str) -> dict[str, Any]:
        outcome, intent, warrant = decided.outcome, decided.request.intent, decided.request.warrant
        row = {
            "tenant_id": intent.tenant,
            "id": authorization_id,
            "intent_id": intent.id,
            "workflow_id": intent.workflow_id,
            "warrant_id": warrant.jti,
            "principal": warrant.principal,
            "role": warrant.role,
            "status": AUTHORIZATION.step(UNBORN, outcome.status),
            "reasons": orjson.dumps(outcome.reasons).decode(),
            "ceiling_cents": outcome.ceiling_cents,
            "currency": intent.money.currency,
            "decision_id": warrant.decision_id,
            "policy_version": warrant.policy.version,
            "policy_revision": warrant.policy.revision,
            "approval_role": warrant.approval_role,
        }
        self.rows.authorizations.append(tuple(row.values()))
        return row

    def _add_hold(self, decided: Authorized, authorization_id: str) -> str:
        HOLD.step(UNBORN, "placed")
        outcome, intent = decided.outcome, decided.request.intent
        hold_id = new_id()
        self.rows.holds.append(
            (
                intent.tenant,
                hold_id,
                authorization_id,
                intent.workflow_id,
                intent.principal,
                decided.request.warrant.iss,
                intent.money.amount_cents,
                intent.money.currency,
                decided.request.warrant.unsettled,
                self._at,
                outcome.expires_at,
            )
        )
        for budget in outcome.charged:
            self.rows.charges.append(
                (intent.tenant, hold_id, budget.key, budget.window, budget.window_start, budget.currency)
            )
        return hold_id

    def _capture(self, command: Command, decided: Captured) -> Tell:
        execution_id, entry_id = self._add_execution(command, decided)
        held, taken, entry = decided.held, decided.capture, decided.entry
        status = HOLD.step(held.spend.hold_status, "captured") if taken.closes else held.spend.hold_status
        captured_cents = held.spend.captured_cents + taken.amount_cents
        self.rows.changed_holds.append((command.tenant, held.hold_id, status, captured_cents))
        if taken.closes:
            self._move(held, "executed")

        def tell() -> Answer:
            document = {
                "id": execution_id,
                "status": "executed",
                "intent_id": str(held.intent.id),
                "authorization_id": str(held.authorization_id),
                "journal_entry_id": entry_id,
                "amount_cents": taken.amount_cents,
                "currency": entry.money.currency,
                "recipient_account": entry.debited,
                "executed_at": instant(self._at),
            }
            told = {"execution_id": execution_id, "ceiling_cents": held.spend.amount_cents} | {
                name: document[name] for name in ("journal_entry_id", "recipient_account", "amount_cents")
            }
            self._tell(command, "treasury.executed", held.intent, **held.told(), **told)
            accrued = {"depleted": list(decided.depleted)} if isinstance(command.act, Accrue) else {}
            return Answer(200, document | accrued)

        return tell

    def _add_execution(self, command: Command, decided: Captured) -> tuple[str, str]:
        held, entry = decided.held, decided.entry
        execution_id, entry_id = new_id(), new_id()
        self.rows.executions.append(
            (
                command.tenant,
                execution_id,
                held.hold_id,
                held.authorization_id,
                held.intent.workflow_id,
                entry_id,
                new_id(),
                new_id(),
                decided.capture.amount_cents,
                entry.money.currency,
                entry.debited,
                entry.credited,
                self._at,
            )
        )
        return execution_id, entry_id

    def _release(self, command: Command, held: Held, status: str, answer: Answer | None) -> Tell:
        """What is still held becomes free; hold and authorization end alike."""
        self._change_hold(command, held, status)
        self._move(held, status)
        return self._told_of_hold(command, f"treasury.{status}", held, answer)

    def _keep_as_unknown(self, command: Command, held: Held, answer: Answer | None) -> Tell:
        self._change_hold(command, held, "unknown")
        return self._told_of_hold(command, "treasury.hold_unknown", held, answer)

    def _told_of_hold(self, command: Command, event_type: str, held: Held, answer: Answer | None) -> Tell:
        def tell() -> Answer | None:
            left_cents = held.spend.left_cents()
            self._tell(command, event_type, held.intent, **held.told(), amount_cents=left_cents)
            return answer

        return tell

    def _change_hold(self, command: Command, held: Held, status: str) -> None:
        status = HOLD.step(held.spend.hold_status, status)
        row = command.tenant, held.hold_id, status, held.spend.captured_cents
        self.rows.changed_holds.append(row)

    def _move(self, held: Held, status: str) -> None:
        AUTHORIZATION.step(held.spend.authorization_status, status)
        row = held.intent.tenant, held.authorization_id, status
        self.rows.changed_authorizations.append(row)
        self._move_intent(held.intent, FOLLOWS[status])

    def _move_intent(self, intent: Intent, status: str) -> None:
        """An intent that is denied once more stays where it is."""
        if intent.status != status:
            row = intent.tenant, intent.id, INTENT.step(intent.status, status)
            self.rows.changed_intents.append(row)

    def _tell(self, command: Command, event_type: str, intent: Intent, **payload: Any) -> None:
        event = registry.event(
            event_type,
            intent.told() | payload,
            tenant=command.tenant,
            workflow_id=str(intent.workflow_id),
            correlation_id=command.correlation_id,
            occurred_at=instant(self._at),
        )
        text = orjson.dumps(event).decode()
        ordinal = len(self.rows.events) + 1
        self.rows.events.append((command.tenant, event["event_id"], intent.workflow_id, ordinal, text))


def _warrant_row(tenant: str, warrant: Warrant) -> tuple[Any, ...]:
    expires_at = datetime.fromtimestamp(warrant.exp, UTC)
    return (
        tenant,
        warrant.jti,
        warrant.iss,
        warrant.act,
        warrant.intent_id,
        warrant.decision_id,
        expires_at,
    )


def _authorization_told(decided: Authorized, authorization_id: str, hold_id: str | None) -> dict[str, Any]:
    outcome, warrant = decided.outcome, decided.request.warrant
    payload: dict[str, Any] = {
        "authorization_id": authorization_id,
        "decision_id": warrant.decision_id,
        "role": warrant.role,
        "reasons": list(outcome.reasons),
        "ceiling_cents": outcome.ceiling_cents,
        "policy": warrant.policy.model_dump(),
    }
    if outcome.expires_at is not None:
        payload |= {
            "hold_id": hold_id,
            "budgets": [budget.model_dump() for budget in warrant.budgets],
            "expires_at": instant(outcome.expires_at),
        }
    if outcome.status == "pending":
        payload["approval_role"] = warrant.approval_role
    return payload
