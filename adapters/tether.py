"""A process of several that ends with the one that started it, even by `kill -9` (on Linux)."""

import ctypes
import multiprocessing
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """Have the kernel end this process with its `multiprocessing` parent, if it has one."""
    parent = multiprocessing.parent_process()
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent.pid:
        os._exit(1)
