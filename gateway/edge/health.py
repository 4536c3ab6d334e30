"""`/healthz`, `/readyz`, `/metrics`: for this machine alone unless `open_health` is set.

Ready means that a call could be judged and recorded now: OPA answers, the journal takes a commit, the
registry's file is good. However many ask, each of these is asked at most once a second: nobody shows a
credential here, and a question costs OPA and the disk something.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final

from adapters.metrics import CONTENT_TYPE, Metrics
from gateway.config import Settings
from gateway.edge.ingress import Request
from gateway.errors import BadRequest, Refusal

FRESH_S: Final = 1.0

Check = Callable[[], Awaitable[str]]
WHO: Final = (b"x-service", b"gateway")
_PATHS: Final = frozenset({b"/healthz", b"/readyz", b"/metrics"})


class Health:
    """What may be known about this worker. A check answers "" or what is wrong."""

    def __init__(self, settings: Settings, metrics: Metrics, checks: dict[str, Check]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._checks = checks
        self._checking: asyncio.Task[dict[str, str]] | None = None
        self._checked_s = 0.0

    async def answer(self, request: Request) -> None:
        """Answer one of the three routes. Raises `BadRequest`."""
        path = request.raw_path
        if path not in _PATHS or not self._is_open_to(request):
            raise BadRequest("not_found", "there is no such route")
        if request.method not in {"GET", "HEAD"}:
            raise BadRequest("method_not_allowed", "health can only be read")
        if path == b"/metrics":
            text = self._metrics.text()
            length = (b"content-length", str(len(text)).encode())
            await request.start(200, [(b"content-type", CONTENT_TYPE.encode()), length])
            await request.send(b"" if request.method == "HEAD" else text, more=False)
        elif path == b"/healthz":
            await request.answer(200, {"status": "ok"})
        else:
            await self._answer_ready(request)

    async def _answer_ready(self, request: Request) -> None:
        wrong = await self._wrong()
        ready = not any(wrong.values())
        checks = {name: why or "ok" for name, why in wrong.items()}
        await request.answer(200 if ready else 503, {"ready": ready, "checks": checks}, (WHO,))

    async def _wrong(self) -> dict[str, str]:
        """What is wrong, by check, as it was found within the last second."""
        now_s = asyncio.get_running_loop().time()
        stale = self._checking is not None and self._checking.done() and now_s - self._checked_s >= FRESH_S
        if self._checking is None or stale:
            self._checking = asyncio.create_task(self._check())
        return await asyncio.shield(self._checking)

    async def _check(self) -> dict[str, str]:
        try:
            return {name: await check() for name, check in self._checks.items()}
        finally:
            self._checked_s = asyncio.get_running_loop().time()

    def _is_open_to(self, request: Request) -> bool:
        client = request.scope.get("client")
        return self._settings.open_health or (
            client is not None and ipaddress.ip_address(client[0]).is_loopback
        )


def asking(work: Callable[[], Awaitable[object]]) -> Check:
    """A check of something that raises `Refusal` while it is away."""

    async def check() -> str:
        try:
            await work()
        except Refusal as refusal:
            return str(refusal.detail)
        return ""

    return check
