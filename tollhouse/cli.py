"""The entry point of `tollhouse` and of `python -m tollhouse`.

From its first line on, Ctrl-C ends it with its exit code and nothing else. Therefore nothing is imported
here; and a service (`tollhouse gateway` and its like) runs without what the command line loads for people.
"""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run what the arguments ask for."""
    try:
        _run()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _run() -> None:
    from tollhouse import services

    if len(sys.argv) == 2 and sys.argv[1] in services.SERVICES:
        raise SystemExit(services.run(sys.argv[1]))
    from tollhouse.commands import build

    build()()
