"""Commands of an operator: who gives them, and how each is done once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse

from schemas.codes import error_body
from schemas.ids import digest, new_id
from treasury.edge.commit import Answer, Asked, Commit, once
from treasury.edge.house import House, InHouse, Known
from treasury.errors import NotAuthorized

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Command:
    """An operator with a command; without a key of theirs each one is new."""

    parts: House
    tenant: str
    operator: str
    correlation_id: str
    route: str
    key: str | None

    async def once(self, asked: Any, work: Callable[[Commit], Awaitable[Answer]]) -> JSONResponse:
        """Do it once for what is `asked` (a JSON document), and answer; refusals in the common shape."""
        known = Asked(
            gateway="",
            tenant=self.tenant,
            principal=self.operator,
            correlation_id=self.correlation_id,
            command=self.route,
            key=self.key or new_id(),
            request_sha256=digest(asked),
        )
        answer = await once(self.parts.database, known, self.parts.settings.in_flight_wait_ms, work)
        body = answer.body
        if answer.status >= 400:
            body = error_body(body["code"], body["detail"], self.correlation_id)
        return JSONResponse(body, answer.status)


@dataclass(frozen=True, slots=True)
class Person:
    """An operator of a tenant."""

    tenant: str
    operator: str


def operator(known: Known) -> Person:
    """Who asks, where that is an operator; raises `NotAuthorized` for a gateway."""
    if known.operator is None:
        raise NotAuthorized("token_invalid", "only an operator may do this")
    return Person(known.tenant, known.operator)


Operator = Annotated[Person, Depends(operator)]


def command(request: Request, parts: InHouse, known: Operator, idempotency_key: Key = None) -> Command:
    """What an operator asks for."""
    correlation_id = request.state.correlation_id
    return Command(parts, known.tenant, known.operator, correlation_id, request.url.path, idempotency_key)


Operating = Annotated[Command, Depends(command)]
