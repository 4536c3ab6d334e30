"""What the user runs: the command line, the policy compiler, the local stack and the demo."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tollhouse")
except PackageNotFoundError:
    __version__ = "0.0.0+checkout"
