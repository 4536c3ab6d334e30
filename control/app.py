"""Composition root: wires control together, opens it with the server and closes it after the last answer."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from adapters import listener
from adapters.metrics import Metrics
from adapters.postgres import Database
from adapters.telemetry import configure_logging
from control import answers, cases, decisions, events, health, workflows
from control.access import House
from control.case_store import CaseStore
from control.config import Settings
from control.operators import Operators
from control.store import Store
from control.treasury import Treasury
from control.work import Links, assemble


def create_app(settings: Settings, end: Callable[[], None] = lambda: None) -> FastAPI:
    """Control as an ASGI application; it opens PostgreSQL and the bus in its lifespan.

    `end` is called when a reader has died: it should end the server, whose shutdown then fails.
    Raises `OSError` or `ValueError` for a file of the settings that is not there or not of its form.
    """
    operators = Operators.read(settings.operators_file)
    dsn = settings.postgres_dsn_file.read_text("utf-8").strip()
    links = Links.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            database = await _database(settings, dsn)
            closing.push_async_callback(database.close)
            treasury = Treasury(
                settings.treasury_url, settings.treasury_timeout_s, settings.treasury_connections_max
            )
            closing.push_async_callback(treasury.close)
            store, metrics = Store(database), Metrics()
            work = await assemble(settings, links, database, store, metrics, closing)
            app.state.house = House(
                settings, operators, store, CaseStore(database), treasury, work.readers, metrics
            )
            for part in work.parts():
                part.start(end)
                closing.push_async_callback(part.stop)
            yield

    app = FastAPI(title="Tollhouse control", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    answers.install(app, settings.retry_after_s)
    for part in (decisions, events, cases, workflows, health):
        app.include_router(part.router)
    app.add_middleware(answers.Correlated)
    return app


def serve(settings: Settings) -> None:
    """Answer on `host:port` until SIGTERM or SIGINT, then finish what is under way.

    When a reader dies of what it cannot survive the process ends with code 1.
    """
    configure_logging("control", settings.log_level)

    def end() -> None:
        server.should_exit = True

    server = uvicorn.Server(_serving(settings, create_app(settings, end)))
    with suppress(KeyboardInterrupt):
        server.run()
    if server.lifespan.should_exit:
        sys.exit(1)


def _serving(settings: Settings, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
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


async def _database(settings: Settings, dsn: str) -> Database:
    return await Database.open(
        dsn,
        application="tollhouse-control",
        pool_size=settings.postgres_pool_size,
        connect_timeout_s=settings.postgres_connect_timeout_s,
        statement_timeout_ms=settings.postgres_statement_timeout_ms,
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
