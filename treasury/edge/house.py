"""What the routes work with, and who stands before them.

Nothing here waits; it is `async` all the same, since what is not would be given to a thread each time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from joserfc.jwk import OKPKey

from adapters.metrics import Metrics
from adapters.postgres import Database
from schemas.warrant import Warrant
from treasury.config import Settings
from treasury.core.command import Act, Answer, Asked, Command
from treasury.edge.access import Access, Caller, Gateway
from treasury.edge.batch import Batches
from treasury.edge.providers import Providers
from treasury.edge.reading import Page
from treasury.edge.warrants import verify
from treasury.errors import NotAuthorized

Sha256Header = Annotated[str, Header(alias="X-Request-Sha256", pattern="^[0-9a-f]{64}$")]
KeyHeader = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


@dataclass(slots=True)
class House:
    """The service's parts, for as long as it lives."""

    settings: Settings
    database: Database
    access: Access
    metrics: Metrics
    batches: Batches
    providers: Providers
    clock: Callable[[], float] = time.time


async def house(request: Request) -> House:
    """The parts that the application was wired with."""
    parts: House = request.app.state.house
    return parts


InHouse = Annotated[House, Depends(house)]


async def caller(
    parts: InHouse,
    authorization: Annotated[str | None, Header()] = None,
    x_tenant: Annotated[str | None, Header(max_length=200)] = None,
    x_principal: Annotated[str | None, Header(max_length=200)] = None,
) -> Caller:
    """Who shows the token; raises `NotAuthorized`."""
    scheme, _, token = (authorization or "").partition(" ")
    if not token:
        raise NotAuthorized("token_missing", "who are you? Send Authorization: Bearer with your token")
    if scheme.lower() != "bearer":
        raise NotAuthorized("token_invalid", "a bearer token is wanted")
    return parts.access.caller(token.strip(), x_tenant, x_principal)


Known = Annotated[Caller, Depends(caller)]


@dataclass(frozen=True, slots=True)
class Writer:
    """A gateway with a command that is done once."""

    parts: House
    asked: Asked
    gateway: Gateway
    key: OKPKey

    def warrant(self, token: str) -> Warrant:
        """The warrant that comes with the command; raises `NotAuthorized`."""
        return verify(token, self.gateway.kid, self.key)

    async def do(self, act: Act) -> Answer:
        """Do it once, in the next batch; the answer is kept."""
        answer = await self.parts.batches.do(Command.of(self.asked, act))
        if answer is None:
            raise LookupError("a command that somebody asked for was left unanswered")
        return answer


async def writer(
    request: Request, parts: InHouse, known: Known, idempotency_key: KeyHeader, request_sha256: Sha256Header
) -> Writer:
    """Only a gateway may write."""
    if known.gateway is None or known.key is None or known.principal is None:
        raise NotAuthorized("token_invalid", "only a gateway may move money")
    asked = Asked(
        gateway=known.gateway.name,
        tenant=known.tenant,
        principal=known.principal,
        correlation_id=request.state.correlation_id,
        command=request.url.path,
        key=idempotency_key,
        request_sha256=request_sha256,
    )
    return Writer(parts, asked, known.gateway, known.key)


Writing = Annotated[Writer, Depends(writer)]


async def page(
    parts: InHouse,
    limit: Annotated[int | None, Query(ge=1, description="items wanted at most")] = None,
    cursor: Annotated[str | None, Query(max_length=2_000)] = None,
) -> Page:
    """The part of a list that is asked for, never longer than the settings allow."""
    longest = parts.settings.page_items_max
    return Page(min(limit or longest, longest), cursor)


Paged = Annotated[Page, Depends(page)]
