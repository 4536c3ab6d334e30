"""The gateway's journals of earlier starts, looked at before anything is started.

The gateway would refuse a file that is none of its own too, but its words are for its log.
"""

from pathlib import Path

from gateway.edge.journal import journals
from gateway.edge.journal_layout import why_unusable
from tollhouse.local.child import StartFailed

FOLDER = "gateway"
"""Where in the data folder they are."""


def require_usable(data: Path) -> None:
    """Raise StartFailed with one line for every journal that the gateway could not go on with."""
    wrong = [why for path in journals(data / FOLDER) if (why := why_unusable(path))]
    if wrong:
        raise StartFailed("\n".join(wrong))
