"""Where things live on this machine, after the XDG base directories."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """What can be fetched or built again: the OPA binary."""
    return _base("XDG_CACHE_HOME", ".cache") / "tollhouse"


def data_folder() -> Path:
    """The local stack's data, unless `--data` or TOLLHOUSE_DATA names another folder."""
    return _base("XDG_DATA_HOME", ".local/share") / "tollhouse"


def _base(variable: str, below_home: str) -> Path:
    """The specification says that a relative path in the variable counts as unset."""
    given = Path(os.environ.get(variable, ""))
    return given if given.is_absolute() else Path.home() / below_home
