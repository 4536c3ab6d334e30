"""The four things that an agent may have done at the treasury, each prepared to be judged and passed on.

    create_intent   declare a spend
    authorize       ask for the permission, of a declared intent or of a spend declared in the same breath
    execute         spend, whole or in part
    void            give it up

Of a spend that was declared before, the treasury is asked first: policy judges what was declared and not what
is said now. The treasury checks everything again when it acts; what is refused here is refused early, so that
it carries the code that helps.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.classify import Call
from gateway.core.decide import Spend
from gateway.core.execute import check_executable
from gateway.core.hold import Intent, executing, placing, refuse_paid_call, voiding
from gateway.core.identify import Principal
from gateway.core.permit import Permit
from gateway.edge.spend_requests import checked
from gateway.edge.treasury import Asker, Once, Treasury, unavailable
from gateway.edge.warrants import Signer
from gateway.errors import BadRequest, Refusal
from schemas.ids import new_id
from schemas.spend import (
    AuthorizeIntentRequest,
    AuthorizeSpendRequest,
    ExecuteRequest,
    IntentRequest,
    VoidRequest,
)

PassOn = Callable[[Permit], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Errand:
    """A spend request as policy judges it, and how it is passed on once judged.

    `keeps_refusals`: the treasury is told of a refusal too. `status` is that of a good answer.
    """

    call: Call
    spend: Spend
    pass_on: PassOn
    status: int = 200
    keeps_refusals: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asked for what; `currency` is the policy's, for a spend that names none."""

    principal: Principal
    call: Call
    once: Once
    currency: str

    @property
    def asker(self) -> Asker:
        return Asker(self.principal.tenant, self.principal.id, self.call.correlation_id)

    def judged_as(self, intent: Intent, policy_version: str | None = None) -> Call:
        return self.call._replace(workflow_id=intent.workflow_id, policy_version=policy_version)


class Errands:
    """Prepares what an agent asks; every one of them raises `BadRequest`, `Denied` or `Unavailable`."""

    def __init__(self, treasury: Treasury, signer: Signer) -> None:
        self._treasury = treasury
        self._signer = signer

    async def prepare(self, principal: Principal, call: Call, once: Once, currency: str) -> Errand:
        """The errand that `call` asks for; its arguments are the body of the request."""
        asked = _Asked(principal, call, once, currency)
        match call.tool:
            case "create_intent":
                return self._create_intent(asked)
            case "authorize" if "intent_id" in call.arguments:
                return await self._authorize_intent(asked)
            case "authorize":
                return self._authorize_spend(asked)
            case "execute":
                return await self._execute(asked)
            case _:
                return await self._void(asked)

    def _create_intent(self, asked: _Asked) -> Errand:
        request = checked(IntentRequest, asked.call.arguments)
        intent = _declare(request, request.currency)

        async def pass_on(_: Permit) -> dict[str, Any]:
            return await self._treasury.write(asked.asker, "/v1/intents", intent.document(), asked.once)

        call = asked.judged_as(intent, intent.policy_version)
        return Errand(call, intent.spend, pass_on, status=201)

    def _authorize_spend(self, asked: _Asked) -> Errand:
        request = checked(AuthorizeSpendRequest, asked.call.arguments)
        intent = _declare(request, request.currency or asked.currency)
        return self._authorize(asked, intent, "/v1/spends", {"intent": intent.document()})

    async def _authorize_intent(self, asked: _Asked) -> Errand:
        request = checked(AuthorizeIntentRequest, asked.call.arguments)
        intent, _ = await self._declared(asked, str(request.intent_id))
        return self._authorize(asked, intent, "/v1/authorizations", {"intent_id": intent.id})

    def _authorize(self, asked: _Asked, intent: Intent, target: str, document: dict[str, Any]) -> Errand:
        async def pass_on(permit: Permit) -> dict[str, Any]:
            claims = placing(intent, asked.principal, permit.verdict, permit.decision_id, "release")
            warrant = {"warrant": self._signer.sign(claims)}
            return _told(await self._treasury.write(asked.asker, target, document | warrant, asked.once))

        call = asked.judged_as(intent, intent.policy_version)
        return Errand(call, intent.spend, pass_on, keeps_refusals=True)

    async def _execute(self, asked: _Asked) -> Errand:
        request = checked(ExecuteRequest, asked.call.arguments)
        intent, authorization = await self._declared(asked, str(request.intent_id))
        with _belonging_to(intent):
            refuse_paid_call(authorization)
            amount_cents = check_executable(intent, authorization, request.amount_cents)

        async def pass_on(permit: Permit) -> dict[str, Any]:
            account = request.recipient_account
            claims = executing(
                intent, asked.principal, permit.verdict, permit.decision_id, amount_cents, account
            )
            document: dict[str, Any] = {
                "intent_id": intent.id,
                "recipient_account": account,
                "warrant": self._signer.sign(claims),
            }
            if request.amount_cents is not None:
                document["amount_cents"] = amount_cents
            return await self._treasury.write(asked.asker, "/v1/executions", document, asked.once)

        return Errand(asked.judged_as(intent), replace(intent.spend, amount_cents=amount_cents), pass_on)

    async def _void(self, asked: _Asked) -> Errand:
        request = checked(VoidRequest, asked.call.arguments)
        intent, authorization = await self._declared(asked, str(request.intent_id))
        with _belonging_to(intent):
            refuse_paid_call(authorization)

        async def pass_on(permit: Permit) -> dict[str, Any]:
            claims = voiding(intent, asked.principal, permit.verdict, permit.decision_id)
            document = {"intent_id": intent.id, "warrant": self._signer.sign(claims)}
            return await self._treasury.write(asked.asker, "/v1/voids", document, asked.once)

        return Errand(asked.judged_as(intent), intent.spend, pass_on)

    async def _declared(self, asked: _Asked, intent_id: str) -> tuple[Intent, dict[str, Any] | None]:
        """The intent as the treasury knows it, with its authorization; another agent's is not found."""
        document = await self._treasury.read(asked.asker, f"/v1/intents/{intent_id}")
        if document.get("principal") != asked.principal.id:
            raise BadRequest("not_found", "there is no such intent")
        try:
            spend = Spend(
                document["amount_cents"], document["currency"], document["purpose"], document["payee"]
            )
            intent = Intent(document["id"], document["workflow_id"], spend, document["policy_version"])
            return intent, document["authorization"]
        except KeyError as missing:
            raise unavailable(f"the treasury's intent has no {missing}") from None


@contextmanager
def _belonging_to(intent: Intent) -> Iterator[None]:
    """What is refused here is of the intent's workflow, which the request does not name."""
    try:
        yield
    except Refusal as refusal:
        refusal.workflow_id = intent.workflow_id
        raise


def _declare(request: IntentRequest | AuthorizeSpendRequest, currency: str) -> Intent:
    spend = Spend(request.amount_cents, currency, request.purpose, request.payee)
    return Intent(new_id(), str(request.workflow_id), spend, request.policy_version)


def _told(authorization: dict[str, Any]) -> dict[str, Any]:
    """The authorization as the agent is told of it: one that waits names what it waits for."""
    waits = authorization["status"] == "pending"
    return authorization | ({"approval_id": authorization["authorization_id"]} if waits else {})
