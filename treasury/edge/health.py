"""GET /healthz, /readyz, /metrics: open to everybody, and showing nothing worth stealing."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from adapters.metrics import CONTENT_TYPE
from adapters.postgres import DatabaseUnavailable
from treasury.edge.house import InHouse

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
    """Prometheus' text form."""
    return Response(parts.metrics.text(), media_type=CONTENT_TYPE)
