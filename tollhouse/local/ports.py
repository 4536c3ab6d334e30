"""Free ports on loopback.

They are taken below the range from which the kernel serves outgoing connections (32768 and up), so that no
client of ours can sit on a port between our looking and the server's binding it.
"""

import random
import socket

FIRST_PORT = 12_000
LAST_PORT = 32_000
ATTEMPTS = 200
LOOPBACK = "127.0.0.1"

_dice = random.SystemRandom()


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of loopback on which nothing listens; OSError when none was found."""
    for _ in range(ATTEMPTS):
        port = _dice.randint(FIRST_PORT, LAST_PORT)
        if is_free(port):
            return port
    raise OSError(f"no free port found on {LOOPBACK} between {FIRST_PORT} and {LAST_PORT}")
