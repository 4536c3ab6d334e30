"""Who PostgreSQL runs as: it refuses to be root.

An ordinary user needs nothing. Root gets a user namespace in which the very same user id looks like another
one: no file changes hands. Where the kernel or a container forbids that, a system user takes over, in a
folder that it can reach.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tollhouse.local.child import StartFailed

MAPPED_ID = 1000
SYSTEM_USERS = ("postgres", "nobody")
SYSTEM_FOLDER = Path("/var/lib/tollhouse")
PROBE_TIMEOUT_S = 5
NAMESPACE = ("unshare", "--user", f"--map-user={MAPPED_ID}", f"--map-group={MAPPED_ID}")


@dataclass(frozen=True)
class Unprivileged:
    """How to run a command as somebody who is not root.

    prefix: words before the command. user: the system user, None for our own. folder: where its files go.
    """

    folder: Path
    prefix: tuple[str, ...] = ()
    user: str | None = None

    @classmethod
    def find(cls, folder: Path, binaries: Path) -> "Unprivileged":
        """The first way that works here; StartFailed, saying what was tried, when none does."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() != 0:
            return cls(folder)
        if runs(NAMESPACE):
            return cls(folder, prefix=NAMESPACE)
        return cls.as_system_user(folder, binaries, SYSTEM_FOLDER)

    @classmethod
    def as_system_user(
        cls, folder: Path, binaries: Path, below: Path, program: str = "postgres"
    ) -> "Unprivileged":
        """A folder outside of the data folder, which is closed to everyone else."""
        known = {entry.pw_name for entry in pwd.getpwall()}
        for name in SYSTEM_USERS:
            if name in known and runs((), name, str(binaries / program)):
                place = below / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
                below.mkdir(mode=0o711, parents=True, exist_ok=True)
                place.mkdir(mode=0o700, exist_ok=True)
                shutil.chown(place, name)
                return cls(place, user=name)
        raise StartFailed(
            "PostgreSQL refuses to run as root, and no way around that works here: user namespaces are not "
            f"allowed (unshare --user), and none of the system users {', '.join(SYSTEM_USERS)} can run "
            f"{binaries / program}.\nRun tollhouse as an ordinary user, or allow user namespaces."
        )


def runs(prefix: tuple[str, ...], user: str | None = None, command: str = "true") -> bool:
    """Whether a command can be run so."""
    if prefix and shutil.which(prefix[0]) is None:
        return False
    try:
        run = subprocess.run(
            [*prefix, command, "--version"],
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
            user=user,
            cwd="/",
        )
    except OSError:
        return False
    return run.returncode == 0
