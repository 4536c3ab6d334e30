"""The route of webhooks: the signature over the very bytes that came is the only credential."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Request
from pydantic import BaseModel

from treasury.core.top_up import read
from treasury.core.webhook import check
from treasury.edge.answers import StrictRoute
from treasury.edge.api import ERRORS
from treasury.edge.house import InHouse
from treasury.edge.topups import credit
from treasury.errors import NotAuthorized, Refused


class WebhookRoute(StrictRoute):
    """Providers' events are longer than our own requests."""

    limit = "webhook_bytes_max"


router = APIRouter(prefix="/v1/webhooks", tags=["top-ups"], route_class=WebhookRoute, responses=ERRORS)


class Receipt(BaseModel):
    """What became of an event: `top_up_id` is null for one that credits nothing."""

    received: bool
    credited: bool
    top_up_id: UUID | None


@router.post("/{provider}")
async def webhook(
    request: Request,
    parts: InHouse,
    provider: Annotated[str, Path(max_length=64)],
    stripe_signature: Annotated[str | None, Header(max_length=2_000)] = None,
) -> Receipt:
    """A provider's event, in Stripe's scheme; a payment credits its budget once, however often it is told."""
    known = parts.providers.find(provider)
    if known is None:
        raise Refused("not_found", "there is no such provider")
    if stripe_signature is None:
        raise NotAuthorized("signature_invalid", "a webhook is signed in the header Stripe-Signature")
    tolerance_s = parts.settings.webhook_tolerance_s
    check(stripe_signature, await request.body(), known.secrets, parts.clock(), tolerance_s)
    top_up = read(provider, known.tenants, await request.json())
    if top_up is None:
        return Receipt(received=True, credited=False, top_up_id=None)
    percent = parts.settings.balance_low_percent
    top_up_id, credited = await credit(parts.database, top_up, percent, request.state.correlation_id)
    return Receipt(received=True, credited=credited, top_up_id=top_up_id)
