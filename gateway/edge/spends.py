"""`/api/treasury/*`: what an agent may ask of the treasury, judged like any other call.

A spend request walks the path of a request with the treasury as its upstream: read and checked
(`spend_requests`), prepared (`errands`), judged by policy, recorded, passed on with a warrant, and recorded
again.

What policy or a budget refuses to authorize is an answer and not an error: the refusal is kept by the
treasury and told with status 200. A spend that a person has to approve is kept as pending, its money held.

Reads are passed on: the treasury shows an agent its own, an operator all of the tenant. What operators alone
may do (reconciliation) is passed on with their own key; the treasury keeps who it was.
"""

import re
from functools import partial
from typing import Any, Final, Protocol

from gateway.core.classify import Call
from gateway.core.identify import Principal
from gateway.core.permit import Outcome, Permit
from gateway.edge.errands import Errand, Errands
from gateway.edge.ingress import Request
from gateway.edge.spend_requests import body, once
from gateway.edge.treasury import Asker, Treasury
from gateway.edge.warrants import Signer
from gateway.errors import BadRequest, Denied, OutcomeUnknown, Refusal, Unavailable
from gateway.pipeline import refuse, run
from gateway.ports import Gate

_ROOT: Final = b"/api/treasury/"
_ACTS: Final = {
    b"intents": "create_intent",
    b"authorize": "authorize",
    b"execute": "execute",
    b"void": "void",
}
_ID: Final = rb"[A-Za-z0-9%][A-Za-z0-9._:@%-]{0,299}"
_READS: Final = re.compile(
    rb"(?:intents|authorizations)/ID|workflows(?:/ID(?:/(?:balance|entries))?)?|accounts/ID/statement"
    rb"|holds|budgets|trial-balance|reconciliations(?:/ID)?".replace(b"ID", _ID)
)
_OPERATED: Final = {
    re.compile(rb"reconciliations"): 201,
    re.compile(rb"reconciliations/ID/breaks/ID/resolve".replace(b"ID", _ID)): 200,
}
"""What an operator may write, with the status of its answer."""
_OPERATORS_ALONE: Final = b"reconciliations"
"""What no agent reads either: it tells of every agent's spends."""
_TABLES: Final = re.compile(rb"workflows/[^/]+/balance|accounts/[^/]+/statement|trial-balance")
_CSV: Final = (b"content-type", b"text/csv; charset=utf-8")
_QUERY: Final = re.compile(rb"[A-Za-z0-9._:@%=&+-]{0,2000}")


class Operator(Protocol):
    """A person who operates."""

    @property
    def id(self) -> str: ...
    @property
    def tenant(self) -> str: ...


class Operators(Protocol):
    """The operator of a key, None for any other."""

    def operator(self, bearer: str) -> Operator | None: ...


class Spends:
    """The way in to the treasury."""

    def __init__(self, treasury: Treasury, signer: Signer, operators: Operators) -> None:
        self._treasury = treasury
        self._errands = Errands(treasury, signer)
        self._operators = operators

    async def handle(self, gate: Gate, request: Request) -> None:
        """Answer one request below `/api/treasury/`."""
        path = request.raw_path.removeprefix(_ROOT)
        if request.method == "POST" and path in _ACTS and not request.query:
            await self._act(gate, request, _ACTS[path])
        elif request.method == "POST" and not request.query and (status := _operated(path)):
            await self._operate(gate, request, path, status)
        elif request.method == "GET" and _READS.fullmatch(path) and _QUERY.fullmatch(request.query):
            await self._read(gate, request, path)
        elif path in _ACTS or _READS.fullmatch(path) or _operated(path):
            raise BadRequest("method_not_allowed", "not this method, or not with this query")
        else:
            raise BadRequest("not_found", "the treasury has no such route")

    async def _act(self, gate: Gate, request: Request, act: str) -> None:
        principal = await gate.identity.identify(request.credential)
        call = _call(request, act)
        request.asked = principal, call
        try:
            request.check_workflow()
            document = await body(request)
            call = call._replace(arguments=document, content="json")
            prices = await gate.prices.table()
            errand = await self._errands.prepare(
                principal, call, once(request, principal, act, document), prices.currency
            )
        except Refusal as refusal:
            await refuse(gate, principal, call._replace(workflow_id=refusal.workflow_id or ""), refusal)
            raise
        await self._judge(gate, request, principal, errand)

    async def _judge(self, gate: Gate, request: Request, principal: Principal, errand: Errand) -> None:
        request.asked = principal, errand.call

        async def forward(permit: Permit) -> Outcome:
            request.asked = None
            return _outcome(request, permit, errand, await _passed_on(errand, permit))

        try:
            await run(gate, principal, errand.call, forward, errand.spend)
        except Denied as refusal:
            request.asked = None
            if refusal.permit is None or not errand.keeps_refusals:
                raise
            refused = refusal.permit.verdict._replace(allow=False, reasons=refusal.reasons)
            permit = refusal.permit._replace(verdict=refused)
            await _outcome(request, permit, errand, await _passed_on(errand, permit)).finish()

    async def _read(self, gate: Gate, request: Request, path: bytes) -> None:
        target = "/v1/" + path.decode("ascii")
        is_operators = path.startswith(_OPERATORS_ALONE)
        asker = await (self._operating(gate, request, path) if is_operators else self._asker(gate, request))
        if _TABLES.fullmatch(path) and _wants_csv(request):
            text = await self._treasury.read_text(asker, f"{target}?format=csv")
            await request.start(200, [_CSV, (b"content-length", str(len(text)).encode())])
            await request.send(text, more=False)
            return
        if request.query:
            target += "?" + request.query.decode("ascii")
        await request.answer(200, await self._treasury.read(asker, target))

    async def _operate(self, gate: Gate, request: Request, path: bytes, status: int) -> None:
        asker = await self._operating(gate, request, path)
        document = await body(request)
        principal = Principal(asker.principal, "operator", asker.tenant, "api_key")
        asked = once(request, principal, path.decode("ascii"), document)
        target = "/v1/" + path.decode("ascii")
        await request.answer(status, await self._treasury.write(asker, target, document, asked))

    async def _operating(self, gate: Gate, request: Request, path: bytes) -> Asker:
        """The operator who asks; an agent is refused, on record."""
        asker = await self._asker(gate, request)
        if asker.bearer is None:
            refusal = Denied("tool_not_allowed", "only an operator may do this")
            principal = await gate.identity.identify(request.credential)
            await refuse(gate, principal, _call(request, path.split(b"/")[0].decode()), refusal)
            raise refusal
        return asker

    async def _asker(self, gate: Gate, request: Request) -> Asker:
        """An operator asks with their own key, so that the treasury sees who it is."""
        bearer = request.credential.bearer
        operator = self._operators.operator(bearer) if bearer else None
        if operator is not None:
            return Asker(operator.tenant, operator.id, request.correlation_id, bearer)
        principal = await gate.identity.identify(request.credential)
        return Asker(principal.tenant, principal.id, request.correlation_id)


def _operated(path: bytes) -> int | None:
    return next((status for form, status in _OPERATED.items() if form.fullmatch(path)), None)


def _wants_csv(request: Request) -> bool:
    """By the query, or else by what is preferred: a CSV file is always whole."""
    formats = [pair[7:] for pair in request.query.split(b"&") if pair.startswith(b"format=")]
    if formats:
        return formats == [b"csv"]
    accepted = request.header(b"accept") or b""
    return accepted.partition(b",")[0].partition(b";")[0].strip().lower() == b"text/csv"


def _call(request: Request, act: str) -> Call:
    return Call(
        kind="spend",
        server="treasury",
        tool=act,
        method=request.method,
        path=request.raw_path.decode("ascii"),
        correlation_id=request.correlation_id,
    )


async def _passed_on(errand: Errand, permit: Permit) -> dict[str, Any]:
    """The treasury's answer. Without one it may have acted, so the outcome is unknown."""
    try:
        return await errand.pass_on(permit)
    except Unavailable as gone:
        unknown = OutcomeUnknown(gone.code, gone.detail, retry_after_s=gone.retry_after_s)
        unknown.decision_id = permit.decision_id
        raise unknown from gone
    except Refusal as refusal:
        refusal.decision_id = permit.decision_id
        raise


def _outcome(request: Request, permit: Permit, errand: Errand, document: dict[str, Any]) -> Outcome:
    """How it ended, and the answer for when that is on record; a refusal that is kept moved no money."""
    denied = document.get("status") == "denied"
    return Outcome(
        "failed" if denied else "succeeded",
        errand.status,
        partial(request.answer, errand.status, document, (), permit.decision_id),
        code=str(document["reason"]) if denied else None,
        journal_entry_id=document.get("journal_entry_id"),
    )
