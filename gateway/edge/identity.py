"""Who is calling: an API key by its hash, or a JWT by its issuer and subject, as the registry maps them."""

from collections.abc import Callable

from gateway.config import Settings
from gateway.core.identify import Credential, Principal
from gateway.core.token import parse, subject
from gateway.edge.jwks import KeySets
from gateway.edge.registry import Registry
from gateway.errors import Unauthenticated

_DOTS_OF_A_JWT = 2


class RegisteredIdentity:
    """Identity by the registry in force. `now` gives seconds since the epoch."""

    def __init__(
        self, registry: Registry, key_sets: KeySets, settings: Settings, now: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._key_sets = key_sets
        self._settings = settings
        self._now = now

    async def identify(self, credential: Credential) -> Principal:
        """The principal of a credential. Raises `Unauthenticated`; `Unavailable` without an issuer's keys."""
        bearer = credential.bearer
        if bearer is None:
            raise Unauthenticated("token_missing", "show an API key or a token as Authorization: Bearer …")
        known = self._registry.key(bearer)
        if known is not None:
            return Principal(known.agent, known.role, known.tenant, "api_key")
        if bearer.count(".") != _DOTS_OF_A_JWT:
            raise Unauthenticated("token_invalid", "the API key is not known")
        return await self._by_token(bearer)

    async def _by_token(self, text: str) -> Principal:
        token = parse(text, self._settings.jwt_bytes_max)
        issuer = self._registry.issuer(token.issuer)
        if issuer is None or token.algorithm not in issuer.algorithms:
            raise Unauthenticated("token_invalid", "the token's issuer or its algorithm is not registered")
        keys = await self._key_sets.keys_for(token, issuer.jwks_url)
        name = subject(
            token, keys, issuer.algorithms, issuer.audience, self._now(), self._settings.jwt_leeway_s
        )
        known = issuer.subjects.get(name)
        if known is None:
            raise Unauthenticated("token_invalid", "the token's subject is not registered")
        return Principal(known.agent, known.role, known.tenant, "jwt")
