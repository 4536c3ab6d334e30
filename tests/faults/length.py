"""How long the drills are: short in `make test`, whole with TOLLHOUSE_DRILLS=1, which `make drills` sets."""

import os
from typing import Final

WHOLE: Final = os.environ.get("TOLLHOUSE_DRILLS") == "1"
TIMEOUT_S: Final = 3_600 if WHOLE else 120
