"""Session ids that are worth nothing to anybody else.

What a client holds is `<the server's id>.<seal>`: the seal binds the id to the tenant, the agent and the
tool server, with a key that only the gateway's workers share. Nothing is remembered; a stolen, forged or
moved id does not open and is answered like one that never was.
"""

import base64
import hashlib
import hmac
import re
from typing import Final

from gateway.core.identify import Principal

ID_BYTES_MAX: Final = 1024
_VISIBLE: Final = re.compile(rb"[!-~]+")


def wrap(upstream_id: bytes, key: bytes, principal: Principal, server: str) -> bytes | None:
    """The id for the client; None when the server's own is not one that the protocol allows."""
    if len(upstream_id) > ID_BYTES_MAX or _VISIBLE.fullmatch(upstream_id) is None:
        return None
    return upstream_id + b"." + _seal(upstream_id, key, principal, server)


def unwrap(client_id: bytes, key: bytes, principal: Principal, server: str) -> bytes | None:
    """The server's id; None when the client's is not one that this agent was given for this server."""
    upstream_id, _, seal = client_id.rpartition(b".")
    if not upstream_id or not hmac.compare_digest(seal, _seal(upstream_id, key, principal, server)):
        return None
    return upstream_id


def _seal(upstream_id: bytes, key: bytes, principal: Principal, server: str) -> bytes:
    owner = f"{principal.tenant}\0{principal.id}\0{server}".encode()
    mac = hmac.digest(key, len(owner).to_bytes(4) + owner + upstream_id, hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=")
