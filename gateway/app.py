"""The data plane: bare ASGI, one dictionary from the first segment of a path to its way in.

Whatever a way in does not handle itself becomes the common shape of an error here, and never a stack trace.
Several workers are several processes under one parent, each with its own journal and its own connections.
"""

import contextlib
import functools
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

from adapters.telemetry import configure_logging
from adapters.tether import end_with_parent
from gateway.config import Settings
from gateway.edge import decisions, http_tools, listener, mcp
from gateway.edge.ingress import Receive, Request, Scope, Send
from gateway.errors import BadRequest, Refusal, Unavailable
from gateway.house import House
from gateway.pipeline import refuse
from gateway.ports import Gate

SWITCH_INTERVAL_S: Final = 0.0005
BACKLOG: Final = 2_048

_COLLECT_AFTER_OBJECTS: Final = 50_000
log = structlog.get_logger(__name__)

Handle = Callable[[Gate, Request], Awaitable[None]]


class App:
    """The gateway as an ASGI application; its house is open between the lifespan's two ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._house = House(settings)
        self._under_way = 0
        self._ways_in: dict[bytes, Handle] = {
            b"tools": http_tools.handle,
            b"mcp": mcp.handle,
            b"api": self._spend,
            b"v1": decisions.handle,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the lifespan."""
        if scope["type"] == "http":
            await self._answer(Request(scope, receive, send, self._settings))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _answer(self, request: Request) -> None:
        self._under_way += 1
        try:
            request.check()
            await self._way_in(request)(self._house.gate, request)
        except Refusal as refusal:
            await _refuse(request, refusal)
        except Exception:
            log.exception("internal_error", correlation_id=request.correlation_id)
            await _refuse(request, await self._failed(request))
        finally:
            self._under_way -= 1

    async def _failed(self, request: Request) -> Refusal:
        """The refusal of what the gateway failed at, on record where its caller is known."""
        refusal = Refusal("internal", "the gateway failed; its log has more")
        if request.asked is not None:
            try:
                await refuse(self._house.gate, *request.asked, refusal)
            except Exception:
                log.exception("internal_error_not_recorded", correlation_id=request.correlation_id)
        return refusal

    def _way_in(self, request: Request) -> Handle:
        handle = self._ways_in.get(request.raw_path.split(b"/", 2)[1])
        if handle is None:
            return self._look_at_health
        if self._under_way > self._settings.calls_max:
            raise Unavailable("overloaded", f"{self._settings.calls_max} calls are under way")
        return handle

    async def _look_at_health(self, _gate: Gate, request: Request) -> None:
        await self._house.health.answer(request)

    async def _spend(self, gate: Gate, request: Request) -> None:
        if not request.raw_path.startswith(b"/api/treasury/"):
            raise BadRequest("not_found", "there is no such route")
        if self._house.spends is None:
            await gate.identity.identify(request.credential)
            raise Unavailable("treasury_unavailable", "no treasury stands behind this gateway")
        await self._house.spends(gate, request)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._house.open()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server must be told
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        _spare_the_collector()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._house.close()
        await send({"type": "lifespan.shutdown.complete"})


def _spare_the_collector() -> None:
    """What was made so far stays; a call's objects die by reference count, so look for cycles seldom.

    Measured: a fifth of a call's CPU, and two thirds of the 99th percentile of latency.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 10, 10)


async def _refuse(request: Request, refusal: Refusal) -> None:
    """Answer with a refusal; an answer that has begun can only be broken off."""
    if not request.started:
        answer = mcp.answer_refusal if request.raw_path.startswith(b"/mcp/") else Request.answer_refusal
        await answer(request, refusal)
        return
    log.warning("answer_broken_off", code=refusal.code, correlation_id=request.correlation_id)
    request.break_off()


def create_app(settings: Settings | None = None) -> App:
    """The application with these settings, or those of the environment."""
    return App(settings or Settings())


def configuration(settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the gateway: strict, silent about itself, with the settings' limits."""
    return uvicorn.Config(
        functools.partial(_worker, settings),
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=listener.protocol(settings),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )


def serve(settings: Settings) -> None:
    """Listen and answer until SIGTERM or SIGINT; calls under way are finished first.

    Exits with a status other than 0 when something that the settings name cannot be opened.
    """
    configure_logging("gateway", settings.log_level)
    config = configuration(settings)
    if settings.workers > 1:
        Multiprocess(config, sockets=[config.bind_socket()]).run()
        return
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()


def _worker(settings: Settings) -> App:
    """One worker's application, in a process of its own that ends with its parent and frees the port.

    The journal's thread must get the interpreter back from the event loop soon after each commit.
    """
    end_with_parent()
    configure_logging("gateway", settings.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return App(settings)
