"""The issuers' keys: fetched when first needed, kept for a while, fetched again when a token names an
unknown one.

However many tokens come, an issuer is asked once at a time, and for unknown keys at most every `refetch_s`.
While an issuer is away its last keys are good for `stale_s` more; then its tokens are refused.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import structlog

from gateway.config import Settings
from gateway.core.token import Token, VerifyingKey, candidates, verifying_keys
from gateway.errors import Unavailable
from schemas.strict_json import NotStrictJSON, read

_DEPTH_MAX = 8

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _KeySet:
    keys: list[VerifyingKey] = field(default_factory=list)
    fetched_s: float | None = None
    tried_s: float | None = None
    fetching: asyncio.Task[None] | None = None


class KeySets:
    """Key sets by their address. `monotonic` gives seconds."""

    def __init__(
        self,
        settings: Settings,
        monotonic: Callable[[], float],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._sets: dict[str, _KeySet] = {}

    async def keys_for(self, token: Token, url: str) -> list[VerifyingKey]:
        """The keys at `url`, fresh enough for this token. Raises `Unavailable` (control_unavailable)."""
        key_set = self._sets.setdefault(url, _KeySet())
        if self._is_due(key_set, token):
            await self._fetch(url, key_set)
        age_s = self._age_s(key_set.fetched_s)
        if age_s is None or age_s > self._settings.jwks_ttl_s + self._settings.jwks_stale_s:
            raise Unavailable("control_unavailable", "the issuer's keys cannot be had", retry_after_s=1)
        return key_set.keys

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _is_due(self, key_set: _KeySet, token: Token) -> bool:
        if key_set.fetching is not None:
            return key_set.fetched_s is None or not candidates(token, key_set.keys)
        tried_s = self._age_s(key_set.tried_s)
        if tried_s is None:
            return True
        age_s = self._age_s(key_set.fetched_s)
        wanted = age_s is None or age_s > self._settings.jwks_ttl_s or not candidates(token, key_set.keys)
        return wanted and tried_s >= self._settings.jwks_refetch_s

    def _age_s(self, since_s: float | None) -> float | None:
        return None if since_s is None else self._monotonic() - since_s

    async def _fetch(self, url: str, key_set: _KeySet) -> None:
        if key_set.fetching is None:
            key_set.tried_s = self._monotonic()
            key_set.fetching = asyncio.create_task(self._take(url, key_set))
        await asyncio.shield(key_set.fetching)

    async def _take(self, url: str, key_set: _KeySet) -> None:
        try:
            key_set.keys = verifying_keys(read(await self._get(url), _DEPTH_MAX))
            key_set.fetched_s = self._monotonic()
        except (httpx.HTTPError, NotStrictJSON, ValueError) as error:
            log.warning("keys_not_fetched", url=url, why=str(error) or type(error).__name__)
        finally:
            key_set.fetching = None

    def _open(self) -> httpx.AsyncClient:
        """Made when it is first needed: its certificates take megabytes."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                timeout=self._settings.jwks_timeout_ms / 1000,
                follow_redirects=False,
                trust_env=False,
            )
        return self._client

    async def _get(self, url: str) -> bytes:
        text = b""
        async with self._open().stream("GET", url, headers={"accept": "application/json"}) as response:
            response.raise_for_status()
            async for piece in response.aiter_bytes():
                text += piece
                if len(text) > self._settings.jwks_bytes_max:
                    raise ValueError(f"larger than {self._settings.jwks_bytes_max} bytes")
        return text
