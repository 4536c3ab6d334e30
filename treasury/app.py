"""Composition root: wires the treasury, opens it with the server and closes it after the last answer."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters import listener
from adapters.metrics import Metrics
from adapters.postgres import Database
from adapters.telemetry import configure_logging
from treasury.config import Settings
from treasury.core.authorization import Terms
from treasury.edge import answers, api, health, reconciliation_routes, views, webhooks, workflows
from treasury.edge.access import Access
from treasury.edge.alerts import Rounds, tell_forever
from treasury.edge.batch import Batches, Limits
from treasury.edge.house import House
from treasury.edge.ledger import road
from treasury.edge.providers import Providers
from treasury.edge.sweep import sweep_forever

_COLLECT_AFTER_OBJECTS: Final = 50_000


def create_app(settings: Settings) -> FastAPI:
    """The treasury as an ASGI application; it opens PostgreSQL in its lifespan.

    Raises `OSError`, `AccessUnusable` or `ProvidersUnusable` for a file of the settings that is not there or
    of no use.
    """
    access = Access(settings.gateways_file, settings.operators_file)
    providers = Providers(settings.webhooks_file)
    dsn = settings.postgres_dsn_file.read_text("utf-8").strip()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ledger = await _open(dsn, settings, settings.batch_lanes_max, by_key=True)
        database = await _open(dsn, settings, settings.postgres_pool_size)
        batches = _batches(settings, ledger)
        app.state.house = House(settings, database, access, metrics, batches, providers)
        rounds = Rounds(settings.alert_interval_ms, settings.alert_batch_max, settings.alert_workflows_max)
        standing = [
            asyncio.create_task(
                sweep_forever(database, batches, settings.sweep_interval_ms, settings.sweep_batch_max)
            ),
            asyncio.create_task(tell_forever(database, rounds)),
        ]
        try:
            yield
        finally:
            for task in standing:
                task.cancel()
            for task in standing:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await batches.close()
            await ledger.close()
            await database.close()

    app = FastAPI(title="Tollhouse treasury", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    answers.install(app, settings.retry_after_s)
    for part in (api, views, workflows, reconciliation_routes, webhooks, health):
        app.include_router(part.router)
    app.add_middleware(_Measured, metrics=metrics)
    app.add_middleware(answers.Correlated)
    return app


async def _open(dsn: str, settings: Settings, sessions: int, *, by_key: bool = False) -> Database:
    return await Database.open(
        dsn,
        application="tollhouse-treasury",
        pool_size=sessions,
        connect_timeout_s=settings.postgres_connect_timeout_s,
        statement_timeout_ms=settings.postgres_statement_timeout_ms,
        lock_timeout_ms=settings.lock_wait_ms,
        by_key=by_key,
    )


def _spare_the_collector() -> None:
    """What was made so far stays; a command's objects die by reference count, so look for cycles seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 10, 10)


def _batches(settings: Settings, ledger: Database) -> Batches:
    limits = Limits(
        settings.batch_commands_max,
        settings.batch_queue_max,
        settings.batch_lanes_max,
        settings.in_flight_wait_ms,
    )
    return Batches(road(ledger, Terms(settings.hold_ttl_s, settings.approval_ttl_s)), limits)


class _Measured:
    """Counts requests by status and measures how long they take."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._requests = metrics.counter("treasury_requests", "Requests answered.", ["method", "status"])
        self._seconds = metrics.histogram("treasury_request_seconds", "Time to answer a request.", ["method"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.count(scope["method"], str(message["status"]))
                self._seconds.observe(time.monotonic() - began, scope["method"])
            await send(message)

        await self._app(scope, receive, send_measured)


def serve(settings: Settings) -> None:
    """Answer on `host:port` until SIGTERM or SIGINT, then finish what is under way."""
    configure_logging("treasury", settings.log_level)
    app = create_app(settings)
    _spare_the_collector()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=listener.protocol(_limits(settings)),
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_timeout_s,
    )


def _limits(settings: Settings) -> listener.Limits:
    return listener.Limits(
        head_bytes_max=settings.head_bytes_max,
        head_timeout_s=settings.head_timeout_s,
        write_stall_s=settings.write_stall_s,
        answer_s_max=settings.answer_s_max,
        connections_max=settings.connections_max,
        requests_max=settings.requests_max,
        body_bytes_max=settings.body_bytes_max,
        body_timeout_s=settings.body_timeout_s,
    )
