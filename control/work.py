"""What control does by itself: record events, judge them, look at the clock, and tell what it found."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from adapters.metrics import Metrics
from adapters.nats import Bus, BusAddress, StreamLimits
from adapters.opa import OpaData, tcp_address
from adapters.postgres import Database
from control.compliance import Compliance, Limits
from control.config import Settings
from control.evidence import Evidence
from control.outbox import Teller
from control.reader import Handler, Meter, Pace, Reader
from control.recorder import Recorder
from control.rounds import Rounds
from control.store import Store
from control.watch import Watch


@dataclass(frozen=True, slots=True)
class Links:
    """Where the bus and OPA are, and what we show them; read from their files once, at the start."""

    bus: BusAddress
    opa_url: str | None
    opa_token: str | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises `OSError` for a file that is not there."""
        address = BusAddress(
            url=settings.nats_url,
            user=settings.nats_user,
            password=settings.nats_password_file.read_text("utf-8").strip(),
            connect_timeout_s=settings.nats_connect_timeout_s,
            ack_timeout_s=settings.nats_ack_timeout_s,
        )
        file = settings.opa_token_file
        return cls(address, settings.opa_url, file.read_text("utf-8").strip() if file else None)


@dataclass(frozen=True, slots=True)
class Work:
    """The readers of the stream and the rounds, to be started and stopped with the service."""

    readers: Sequence[Reader]
    rounds: Sequence[Rounds]

    def parts(self) -> list[Reader | Rounds]:
        """All of it, in the order of starting."""
        return [*self.readers, *self.rounds]


async def assemble(
    settings: Settings,
    links: Links,
    database: Database,
    store: Store,
    metrics: Metrics,
    closing: AsyncExitStack,
) -> Work:
    """Everything but started; what it opens is closed with `closing`."""

    async def connect() -> Bus:
        return await Bus.connect(links.bus)

    teller = Teller(database, connect, settings.outbox_batch_max)
    closing.push_async_callback(teller.close)
    limits, pace, meter = _stream_limits(settings), _pace(settings), Meter(metrics)

    def reader(handler: Handler, after: str | None = None) -> Reader:
        return Reader(handler, connect, limits, pace, meter, after)

    readers = [reader(Recorder(store))]
    rounds = [Rounds("teller", teller.publish, settings.outbox_interval_ms / 1000)]
    if links.opa_url:
        opa = OpaData(tcp_address(links.opa_url), links.opa_token, settings.opa_answer_bytes_max)
        closing.push_async_callback(opa.aclose)
        evidence = Evidence(database, settings.case_refusals_counted_max, settings.case_evidence_max)
        compliance = Compliance(evidence, opa, _limits(settings))
        readers.append(judge := reader(compliance, after=Recorder.durable))
        watch = Watch(
            evidence,
            compliance,
            settings.case_unknown_age_s_max,
            settings.case_refusals_window_s,
            lambda: judge.caught_up,
        )
        rounds.append(Rounds("watch", watch.look, settings.case_watch_interval_ms / 1000))
    return Work(readers, rounds)


def _limits(settings: Settings) -> Limits:
    return Limits(
        refusals_max=settings.case_refusals_max,
        refusals_window_s=settings.case_refusals_window_s,
        unknown_age_s_max=settings.case_unknown_age_s_max,
        opa_timeout_s=settings.opa_timeout_s,
    )


def _stream_limits(settings: Settings) -> StreamLimits:
    return StreamLimits(
        events_bytes_max=settings.events_bytes_max,
        dead_letters_bytes_max=settings.dead_letters_bytes_max,
        age_s_max=settings.events_age_s_max,
    )


def _pace(settings: Settings) -> Pace:
    return Pace(
        batch_max=settings.record_batch_max,
        wait_s=settings.record_wait_ms / 1000,
        retry_s=settings.record_retry_ms / 1000,
        attempts_max=settings.record_attempts_max,
    )
