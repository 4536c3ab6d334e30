"""GET /healthz, /readyz, /metrics: open to everybody, and showing nothing worth stealing."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from adapters.metrics import CONTENT_TYPE, Metrics
from adapters.postgres import DatabaseUnavailable
from adapters.telemetry import logger
from treasury.edge.house import InHouse
from treasury.edge.outbox import Waiting, waiting

log = logger("treasury.health")

router = APIRouter(tags=["health"])
WHO = {"x-service": "treasury"}


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Not ready; what is gone."}})
async def readyz(parts: InHouse, response: Response) -> dict[str, object]:
    """The ledger's tables answer; else 503 with what is gone."""
    response.headers.update(WHO)
    try:
        async with parts.database.session() as connection:
            await connection.fetchval("SELECT count(*) FROM treasury.transitions")
    except DatabaseUnavailable:
        response.status_code = 503
        response.headers["retry-after"] = str(parts.settings.retry_after_s)
        return {"status": "not_ready", "waiting_for": ["postgres"]}
    return {"status": "ready"}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(parts: InHouse) -> Response:
    """Prometheus' text form. The relay's lag is the outbox's, so that it shows when the relay is gone."""
    text = parts.metrics.text()
    try:
        text += _behind(await waiting(parts.database))
    except DatabaseUnavailable as gone:
        log.warning("outbox_unknown", reason=str(gone))
    return Response(text, media_type=CONTENT_TYPE)


def _behind(outbox: Waiting) -> bytes:
    metrics = Metrics()
    metrics.gauge(
        "treasury_outbox_events", "Events that the relay has yet to publish.", lambda: outbox.events
    )
    metrics.gauge(
        "treasury_outbox_lag_seconds", "How long the oldest of them has waited.", lambda: outbox.oldest_s
    )
    return metrics.text()
