"""What every answer has: a correlation id, and the common shape where it is an error."""

import re
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.postgres import DatabaseUnavailable, UnusableValue
from adapters.telemetry import bind_correlation, logger
from control.errors import Refusal
from schemas.codes import STATUS, error_body
from schemas.ids import new_id

_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_CODES: Final = {400: "malformed", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

_log = logger("control")


class ErrorAnswer(BaseModel):
    """Every error: `code` is for machines, `detail` for people (a list with `loc` where it is 422)."""

    code: str
    detail: Any
    correlation_id: str


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorAnswer} for status in (400, 401, 404, 422, 503)
}


class Correlated:
    """Gives each request a correlation id (the caller's where it is well formed) and its answer the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-correlation-id", b"")
        correlation_id = given.decode() if _CORRELATION_ID.fullmatch(given) else new_id()
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        bind_correlation(correlation_id)

        async def send_correlated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-correlation-id", correlation_id.encode())]
            await send(message)

        await self._app(scope, receive, send_correlated)


def install(app: FastAPI, retry_after_s: int) -> None:
    """Answer every way to fail in the common shape."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> JSONResponse:
        headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else None
        return _error(request, refusal.code, refusal.detail, headers)

    @app.exception_handler(DatabaseUnavailable)
    async def unavailable(request: Request, error: DatabaseUnavailable) -> JSONResponse:
        _log.warning("postgres_unavailable", why=str(error))
        return _error(
            request,
            "control_unavailable",
            "the record cannot be read now",
            {"retry-after": str(retry_after_s)},
        )

    @app.exception_handler(UnusableValue)
    async def unusable(request: Request, fault: UnusableValue) -> JSONResponse:
        _log.warning("unusable_value", why=str(fault), path=request.url.path)
        detail = [{"loc": ["request"], "message": "a value that cannot be stored or looked for"}]
        return _error(request, "invalid", detail)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        detail = [{"loc": list(fault["loc"]), "message": fault["msg"]} for fault in error.errors()]
        return _error(request, "invalid", detail)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        return _error(request, _CODES.get(error.status_code, "malformed"), error.detail, error.headers)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        _log.error("request_broke", error=type(error).__name__, path=request.url.path)
        return _error(request, "internal", "something broke on our side; the log has more")


def _error(request: Request, code: str, detail: Any, headers: Any = None) -> JSONResponse:
    body = error_body(code, detail, request.state.correlation_id)
    return JSONResponse(body, STATUS[code], headers=headers)
