"""Make .venv from the lock: `python requirements/install.py`.

Runs on a bare Python and needs nothing but the package index that pip is configured for. What was
installed is remembered by the digest of the lock and of pyproject.toml: a second run ends at once.
"""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "installed.sha256"
OLDEST = (3, 11)
SHOW_EVERY_S = 5.0


def main():
    """Exit code 0 when .venv is what the lock says."""
    if sys.version_info < OLDEST:
        return complain(
            f"Python {needed()} or newer is needed, this is {version()} ({sys.executable}).\n"
            "Install one, or name it: make setup PYTHON=/path/to/python3.12"
        )
    wanted = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted and runs():
        return 0
    STAMP.unlink(missing_ok=True)
    code = make() or install()
    if code == 0:
        STAMP.write_text(wanted)
    return code


def make():
    """The virtual environment; an unusable one is made again."""
    if runs():
        return 0
    say(f"making .venv with Python {version()}")
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False).returncode:
        return complain(
            f"{sys.executable} cannot make virtual environments.\n"
            "On Debian and Ubuntu: apt-get install python3-venv. Elsewhere: a Python with ensurepip."
        )
    return 0


def install():
    """Everything of the lock, each file by its hash, and the project itself in place."""
    packages = sum(1 for line in LOCK.read_text().splitlines() if "==" in line)
    say(f"installing {packages} pinned packages (one to three minutes, once)")
    if pip(packages, "--require-hashes", "--requirement", str(LOCK)):
        return complain(
            "The packages could not be installed: see above. `make setup` goes on where it stopped."
        )
    if pip(1, "--no-build-isolation", "--no-deps", "--no-index", "--editable", str(ROOT)):
        return complain("The project itself could not be installed: see above.")
    return 0


def pip(packages, *arguments):
    """Run pip install; its chatter becomes a count, its errors come through."""
    command = [str(PYTHON), "-m", "pip", "install", "--progress-bar", "off", "--no-input"]
    command += ["--disable-pip-version-check", *arguments]
    started, shown, count = time.monotonic(), time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True) as process:
        for line in process.stdout:
            count += line.startswith("Collecting ")
            installing = line.startswith("Installing collected")
            if installing or time.monotonic() - shown > SHOW_EVERY_S:
                shown = time.monotonic()
                what = "unpacking" if installing else f"{min(count, packages)} of {packages} found"
                say(f"  {what}, {shown - started:.0f} s")
    return process.returncode


def runs():
    """Whether .venv has a Python that starts, new enough, with a pip."""
    check = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    if not PYTHON.exists():
        return False
    return subprocess.run([str(PYTHON), "-c", check], check=False, stderr=subprocess.DEVNULL).returncode == 0


def version():
    return sys.version.split()[0]


def needed():
    return ".".join(map(str, OLDEST))


def say(text):
    print(text, flush=True)


def complain(text):
    print("make setup: " + text, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
