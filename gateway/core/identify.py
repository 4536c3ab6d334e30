"""Who is calling: a credential becomes a principal by the server's own mapping, or the call ends."""

from typing import Literal, NamedTuple


class Credential(NamedTuple):
    """What the caller showed: a bearer (an API key or a JWT) or nothing."""

    bearer: str | None


class Principal(NamedTuple):
    """An agent that proved who it is. Role and tenant come from the registry, never from the caller."""

    id: str
    role: str
    tenant: str
    method: Literal["api_key", "jwt", "mtls"]
    user: str | None = None
