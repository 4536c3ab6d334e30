"""How many changes to treasury/core no test notices: `make mutants`.

mutmut changes one thing at a time (a comparison, a number, a word, an argument) and runs the unit tests that
touch it. What survives is listed by name, and `mutmut show NAME` has its change; docs/mutants.md says why it
cannot be noticed.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
STATISTICS: Final = ROOT / "mutants" / "mutmut-cicd-stats.json"
FLOOR: Final = 0.90


def main() -> int:
    """0 where at least FLOOR of the changes were noticed."""
    mutmut = [sys.executable, "-m", "mutmut"]
    for command in (["run"], ["export-cicd-stats"], ["results"]):
        done = subprocess.run([*mutmut, *command], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    counted = json.loads(STATISTICS.read_text())
    total, noticed = counted["total"], counted["killed"] + counted["timeout"]
    print(f"{noticed} of {total} changes to treasury/core were noticed: {noticed / total:.1%}")
    return 0 if noticed >= FLOOR * total else 1


if __name__ == "__main__":
    raise SystemExit(main())
