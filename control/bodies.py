"""Bodies of requests: bounded, and JSON that can be read in one way only."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import HTTPException
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from schemas import strict_json


class Body(BaseModel):
    """What is not named is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _StrictRequest(Request):
    async def body(self) -> bytes:
        if hasattr(self, "_body"):
            return self._body
        bytes_max = self.app.state.house.settings.body_bytes_max
        received = bytearray()
        async for piece in self.stream():
            received += piece
            if len(received) > bytes_max:
                raise HTTPException(413, f"a body has at most {bytes_max} bytes")
        self._body = bytes(received)
        return self._body

    async def json(self) -> Any:
        try:
            return strict_json.read(await self.body(), self.app.state.house.settings.json_depth_max)
        except strict_json.NotStrictJSON as error:
            raise HTTPException(400, str(error)) from None


class StrictRoute(APIRoute):
    """A route that reads its body with `schemas.strict_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a strict request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
