"""The way to the treasury for what operators do there: their own key, their own request, its own answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx
from fastapi import Request
from fastapi.responses import JSONResponse

from control.errors import Refusal


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of an operator's, as the treasury is to hear it."""

    method: str
    path: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, request: Request, method: str, path: str, key: str | None = None) -> Self:
        """With the credential and the correlation id of the request, and its idempotency key, if any."""
        bearer = request.headers.get("authorization") or f"Bearer {request.headers['x-api-key']}"
        headers = {"authorization": bearer, "x-correlation-id": request.state.correlation_id}
        return cls(method, path, headers | ({"idempotency-key": key} if key else {}))


class Treasury:
    """The client; without a `url` every request is refused as unavailable."""

    def __init__(self, url: str | None, timeout_s: float, connections_max: int) -> None:
        limits = httpx.Limits(max_connections=connections_max)
        self._http = httpx.AsyncClient(base_url=url or "", timeout=timeout_s, limits=limits, trust_env=False)
        self._there = url is not None

    async def pass_on(
        self, asked: Asked, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> JSONResponse:
        """The treasury's answer with its status. Raises `Refusal` (treasury_unavailable) without one."""
        if not self._there:
            raise Refusal("treasury_unavailable", "no treasury stands behind this control")
        try:
            answer = await self._http.request(
                asked.method, asked.path, json=body, params=query, headers=dict(asked.headers)
            )
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Refusal(
                "treasury_unavailable", f"the treasury did not answer: {type(error).__name__}"
            ) from error
        return JSONResponse(document, answer.status_code)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
