"""What the path of a request stands on: each port is as small as the path needs it.

The edges fill them with the real thing (`gateway.house` says which); a test fills them with values, so that
the path can be walked with no OPA, no treasury and no disk.
"""

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from adapters.http1 import Response
from gateway.config import Settings
from gateway.core.classify import Server
from gateway.core.decide import Verdict
from gateway.core.identify import Credential, Principal
from gateway.core.permit import Permit
from gateway.core.price import PriceTable
from gateway.core.record import Entry
from gateway.core.settle import Settlement
from gateway.core.usage import Part


class Identity(Protocol):
    """Raises `Unauthenticated`."""

    async def identify(self, credential: Credential) -> Principal: ...


class Servers(Protocol):
    """The tool server of this name in the registry. Raises `BadRequest` (not_found)."""

    def server(self, name: str) -> Server: ...


class Prices(Protocol):
    """The table of prices as OPA last told it (None before it ever did), the same but read if need be, and as
    OPA tells it now. Both methods raise `Unavailable`."""

    @property
    def known(self) -> PriceTable | None: ...
    async def table(self) -> PriceTable: ...
    async def reread(self) -> PriceTable: ...


class Policy(Protocol):
    """Raises `Unavailable` (policy_unavailable, overloaded)."""

    async def decide(self, question: dict[str, Any]) -> Verdict: ...


class RateLimits(Protocol):
    """Raises `BadRequest` with rate_limited."""

    def take(self, principal: Principal, obligation: dict[str, Any]) -> None: ...


class Upstreams(Protocol):
    """Sends to a tool server; `target` is the path and query below its URL's own path, empty for that itself.
    `begun` is called when the request is about to be written; the tool may be silent for `patience_s`, where
    that is longer than the settings have it.

    Raises `UpstreamFailed` where nothing was sent, `OutcomeUnknown` where no whole answer came.
    """

    async def send(
        self,
        server: Server,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes | AsyncIterable[bytes] | None,
        begun: Callable[[], None] | None = None,
        patience_s: float = 0.0,
    ) -> Response: ...


class Treasury(Protocol):
    """`hold` answers the hold's id; raises `Denied` or `Unavailable`.

    `settle` answers the journal entry's id where money moved (null elsewhere); raises `Unavailable`, and is
    then called again from the journal until the treasury has heard. Any other `Refusal` is the treasury's
    last word. It must bear being told twice.

    `accrue` tells one part of what a metered call has used, and answers which of its budgets are depleted
    (`role:executor`); raises as `settle` does, and is then asked again with the same part.
    """

    async def hold(self, permit: Permit) -> str: ...
    async def accrue(self, permit: Permit, part: Part) -> tuple[str, ...]: ...
    async def settle(self, due: Settlement) -> str | None: ...


class Journal(Protocol):
    """`append` returns when the entry is on disk; raises `Unavailable` (journal_unavailable).

    `note` has it written soon, with nobody waiting; `flush` waits for what was noted.
    """

    async def append(self, entry: Entry) -> None: ...
    def note(self, entry: Entry) -> None: ...
    async def flush(self) -> None: ...


class Meter(Protocol):
    """Counts what was decided, by code ("" is allowed), and the seconds that it took."""

    def decided(self, code: str, seconds: float) -> None: ...


class Clock(Protocol):
    """`now` is RFC 3339 in UTC; `monotonic` is in seconds."""

    def now(self) -> str: ...
    def monotonic(self) -> float: ...


@dataclass(slots=True)
class Gate:
    """All that the path of a request stands on. `treasury` is None where no spend is possible."""

    settings: Settings
    identity: Identity
    servers: Servers
    upstreams: Upstreams
    prices: Prices
    policy: Policy
    rate_limits: RateLimits
    treasury: Treasury | None
    journal: Journal
    meter: Meter
    clock: Clock
