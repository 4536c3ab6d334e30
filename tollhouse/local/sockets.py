"""Where a Unix socket can be: its path may have 107 bytes, and a data folder may be deep.

One that does not fit lives in a folder of ours below the system's temporary one, 0700, named after the place
where it should be; somebody else's folder of that name is never used.
"""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from tollhouse.local.child import StartFailed

PATH_BYTES_MAX = 104


def socket_path(folder: Path, name: str) -> Path:
    """A path for this socket that the kernel takes; StartFailed when its folder is not ours alone."""
    wanted = folder / name
    if len(os.fsencode(wanted)) <= PATH_BYTES_MAX:
        return wanted
    label = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
    place = Path(tempfile.gettempdir()) / f"tollhouse-{os.geteuid()}-{label}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StartFailed(
            f"{place} is not a folder of our own: remove it, or take a data folder of shorter name."
        )
    return place / name
