"""GET /healthz, /readyz, /metrics: open to everybody, and showing nothing worth stealing."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from adapters.metrics import CONTENT_TYPE
from adapters.postgres import DatabaseUnavailable
from control.access import InHouse

router = APIRouter(tags=["health"])
WHO = {"x-service": "control"}


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Not ready; what is gone."}})
async def readyz(house: InHouse, response: Response) -> dict[str, object]:
    """PostgreSQL answers and the event stream is being read; else 503 with what is gone."""
    response.headers.update(WHO)
    gone = [] if all(reader.ready for reader in house.readers) else ["events"]
    try:
        await house.store.answers()
    except DatabaseUnavailable:
        gone.append("postgres")
    if gone:
        response.status_code = 503
        response.headers["retry-after"] = str(house.settings.retry_after_s)
        return {"status": "not_ready", "waiting_for": gone}
    return {"status": "ready"}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(house: InHouse) -> Response:
    """Prometheus' text form."""
    return Response(house.metrics.text(), media_type=CONTENT_TYPE)
