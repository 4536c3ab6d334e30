"""How many files and sockets this process may have open."""

import contextlib
import resource
from typing import Final

WANTED: Final = 65_536


def open_files_max() -> int:
    """The limit, after it was raised as far as the system lets us, to `WANTED` at most.

    Many systems begin with 1024 (or 256) for the sake of programs that cannot count further.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    now = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return WANTED if now == resource.RLIM_INFINITY else now
