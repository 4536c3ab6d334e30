"""What the user runs: the command line, the policy compiler, the local stack and the demo."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: nothing is imported before the entry point runs."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tollhouse")
    except PackageNotFoundError:
        return "0.0.0+checkout"
