"""What every answer has: a correlation id, and the common shape where it is an error. Bodies are strict."""

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.postgres import DatabaseUnavailable, UnusableValue
from adapters.telemetry import bind_correlation, logger
from schemas import strict_json
from schemas.codes import STATUS, error_body
from schemas.ids import new_id
from treasury.errors import Refused

_CORRELATION_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_CODES: Final = {400: "malformed", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

log = logger("treasury")


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


class _StrictRequest(Request):
    """A request whose body is bounded, and JSON that can be read in one way only."""

    async def body(self) -> bytes:
        bytes_max = getattr(self.app.state.settings, self.scope["body_limit"])
        if hasattr(self, "_body"):
            return self._body
        received = bytearray()
        async for piece in self.stream():
            received += piece
            if len(received) > bytes_max:
                raise HTTPException(413, f"a body has at most {bytes_max} bytes")
        self._body = bytes(received)
        return self._body

    async def json(self) -> Any:
        try:
            return strict_json.read(await self.body(), self.app.state.settings.json_depth_max)
        except strict_json.NotStrictJSON as error:
            raise HTTPException(400, str(error)) from None


class StrictRoute(APIRoute):
    """A route that reads its body with `schemas.strict_json`; `limit` names the setting that bounds it."""

    limit = "body_bytes_max"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a strict request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            request.scope["body_limit"] = self.limit
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def install(app: FastAPI, retry_after_s: int) -> None:
    """Answer every way to fail in the common shape."""

    @app.exception_handler(Refused)
    async def refused(request: Request, refusal: Refused) -> JSONResponse:
        headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else None
        return error(request, refusal.code, refusal.detail, headers)

    @app.exception_handler(DatabaseUnavailable)
    async def unavailable(request: Request, gone: DatabaseUnavailable) -> JSONResponse:
        log.warning("postgres_unavailable", reason=str(gone))
        headers = {"retry-after": str(retry_after_s)}
        return error(request, "treasury_unavailable", "the ledger cannot be reached now", headers)

    @app.exception_handler(UnusableValue)
    async def unusable(request: Request, fault: UnusableValue) -> JSONResponse:
        log.warning("unusable_value", reason=str(fault), path=request.url.path)
        detail = [{"loc": ["request"], "message": "a value that cannot be stored or looked for"}]
        return error(request, "invalid", detail)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, faults: RequestValidationError) -> JSONResponse:
        detail = [{"loc": list(fault["loc"]), "message": fault["msg"]} for fault in faults.errors()]
        return error(request, "invalid", detail)

    @app.exception_handler(StarletteHTTPException)
    async def http_error(request: Request, fault: StarletteHTTPException) -> JSONResponse:
        return error(request, _CODES.get(fault.status_code, "malformed"), fault.detail, fault.headers)

    @app.exception_handler(Exception)
    async def broken(request: Request, fault: Exception) -> JSONResponse:
        log.error("request_broke", error=type(fault).__name__, path=request.url.path)
        return error(request, "internal", "something broke on our side; the log has more")


def error(request: Request, code: str, detail: Any, headers: Any = None) -> JSONResponse:
    """An error in the common shape, with the status that its code stands for."""
    return JSONResponse(error_body(code, detail, request.state.correlation_id), STATUS[code], headers)
