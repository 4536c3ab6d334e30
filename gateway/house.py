"""What stands around the path of a request, opened with the worker and closed after its last call.

Everything is pushed on one stack as it is opened, so whatever fails at the start, and every stop, closes
what was open in the opposite order: calls end before the journal does, and the journal is shipped before it
is closed.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import structlog

from adapters import opa
from adapters.background import finished, unending
from adapters.http1 import TcpAddress, UnixAddress
from adapters.metrics import Metrics
from gateway.config import Settings
from gateway.edge.clock import SystemClock
from gateway.edge.health import Health, asking
from gateway.edge.holds import Holds
from gateway.edge.identity import RegisteredIdentity
from gateway.edge.ingress import Request
from gateway.edge.journal import Journal
from gateway.edge.jwks import KeySets
from gateway.edge.meter import DecisionMeter
from gateway.edge.policy import OpaPolicy
from gateway.edge.prices import OpaPrices
from gateway.edge.rates import WorkerRates
from gateway.edge.registry import Registry
from gateway.edge.settlements import Settlements
from gateway.edge.spends import Spends
from gateway.edge.treasury import Treasury
from gateway.edge.upstream import Upstream
from gateway.edge.warrants import Signer
from gateway.ports import Gate

PRUNE_EVERY_S: Final = 60.0
BEGIN_AGAIN_S: Final = 1.0
OPA_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
NEEDED_FOR_SPENDS: Final = "treasury_url, treasury_token_file and signing_key_file belong together"

Handle = Callable[[Gate, Request], Awaitable[None]]

log = structlog.get_logger(__name__)


class House:
    """One worker's gate and all behind it. `gate`, `health` and `spends` are there once it is open."""

    gate: Gate
    health: Health
    spends: Handle | None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._clock = SystemClock()
        self._metrics = Metrics()

    async def open(self) -> None:
        """Open everything. Raises what cannot be opened, after closing the rest."""
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise

    async def close(self) -> None:
        """Close everything."""
        await self._stack.aclose()

    async def _open(self) -> None:
        settings = self._settings
        registry = Registry(settings.registry_file)
        journal = self._journal()
        key_sets = KeySets(settings, self._clock.monotonic)
        self._stack.push_async_callback(key_sets.aclose)
        upstream = Upstream(settings)
        self._stack.push_async_callback(upstream.aclose)
        prices, policy = self._opa()
        holds = self._treasury(registry, journal)
        self._ship(journal)
        self.gate = Gate(
            settings=settings,
            identity=RegisteredIdentity(registry, key_sets, settings, self._clock.epoch),
            servers=registry,
            upstreams=upstream,
            prices=prices,
            policy=policy,
            rate_limits=WorkerRates(settings.rate_limit_principals_max, self._clock.monotonic),
            treasury=holds,
            journal=journal,
            meter=DecisionMeter(self._metrics),
            clock=self._clock,
        )
        self.health = self._health(registry, journal, prices)
        self._in_background("registry", lambda: registry.watch(settings.registry_reread_ms / 1000))
        self._in_background("prune", lambda: self._prune(journal))
        self._beside(finished("lost outcomes", journal.complete_lost, BEGIN_AGAIN_S))

    def _journal(self) -> Journal:
        settings = self._settings
        journal = Journal(
            settings.journal_dir,
            sync=settings.journal_sync,
            timeout_s=settings.journal_timeout_ms / 1000,
            queue_max=settings.journal_queue_max,
        )
        journal.open()
        self._stack.push_async_callback(journal.aclose)
        return journal

    def _opa(self) -> tuple[OpaPrices, OpaPolicy]:
        settings = self._settings
        token = _secret(settings.opa_token_file)
        timeout_s = settings.decision_timeout_ms / 1000
        address: TcpAddress | UnixAddress = opa.tcp_address(settings.opa_url)
        if settings.opa_socket is not None:
            address = UnixAddress(str(settings.opa_socket))
        data = opa.OpaData(address, token, OPA_ANSWER_BYTES_MAX)
        self._stack.push_async_callback(data.aclose)
        policy = OpaPolicy(
            data,
            timeout_s=timeout_s,
            batch_max=settings.decision_batch_max,
            queue_max=settings.decision_queue_max,
        )
        self._stack.push_async_callback(policy.aclose)
        return OpaPrices(data, timeout_s), policy

    def _treasury(self, registry: Registry, journal: Journal) -> Holds | None:
        settings = self._settings
        token = _secret(settings.treasury_token_file)
        self.spends = None
        if settings.treasury_url is None:
            return None
        if token is None or settings.signing_key_file is None:
            raise ValueError(NEEDED_FOR_SPENDS)
        signer = Signer(settings.signing_key_file, settings.name, self._clock.epoch)
        treasury = Treasury(
            opa.tcp_address(settings.treasury_url),
            token,
            settings.treasury_timeout_ms / 1000,
            settings.treasury_connections_max,
        )
        self._stack.push_async_callback(treasury.aclose)
        self.spends = Spends(treasury, signer, registry).handle
        holds = Holds(treasury, signer)
        settlements = Settlements(journal, holds, settings.settlement_retry_ms / 1000)
        self._in_background("settlements", settlements.run)
        return holds

    def _ship(self, journal: Journal) -> None:
        settings = self._settings
        if settings.nats_url is None:
            return
        # Loaded only where there is a bus: its client takes ten megabytes of every worker.
        from adapters.nats import Bus, BusAddress
        from gateway.edge.shipper import Pace, Shipper

        address = BusAddress(
            settings.nats_url, settings.nats_user, _secret(settings.nats_password_file) or ""
        )
        pace = Pace(batch_max=settings.ship_batch_max)
        shipper = Shipper(journal, lambda: Bus.connect(address), self._metrics, pace)
        shipper.start()
        self._stack.push_async_callback(shipper.stop)

    def _health(self, registry: Registry, journal: Journal, prices: OpaPrices) -> Health:
        async def registry_is_good() -> str:
            return registry.broken

        checks = {
            "policy": asking(prices.reread),
            "journal": asking(journal.probe),
            "registry": registry_is_good,
        }
        return Health(self._settings, self._metrics, checks)

    async def _prune(self, journal: Journal) -> None:
        """Keep the journal's size within its retention; records that are not shipped yet are kept."""
        unshipped_too = self._settings.nats_url is None
        while True:
            await asyncio.sleep(PRUNE_EVERY_S)
            before_ms = int((time.time() - self._settings.journal_retention_s) * 1000)
            try:
                await journal.prune(before_ms, unshipped_too=unshipped_too)
            except sqlite3.Error as error:
                log.warning("journal_not_pruned", why=str(error))

    def _in_background(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._beside(unending(name, work, BEGIN_AGAIN_S))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._stack.push_async_callback(_cancel, task)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _secret(path: Path | None) -> str | None:
    """What a secret's file holds. Raises `OSError`."""
    return None if path is None else path.read_text().strip()
