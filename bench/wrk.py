"""Load by wrk: closed loop, keep-alive, one thread, so that the load takes the same share everywhere."""

import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", re.MULTILINE)
_FAILED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKET = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class LoadFailed(Exception):
    """What was measured is not what was meant; the message has wrk's own words."""


@dataclass(frozen=True)
class Measure:
    """One run: requests a second and latencies."""

    per_s: float
    p50_ms: float
    p99_ms: float

    def document(self) -> dict[str, float]:
        """For the JSON file."""
        return asdict(self)


def load(url: str, script: Path, connections: int, seconds: int) -> Measure:
    """Run wrk. Raises `LoadFailed` when a single request was answered with an error or not at all."""
    command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    try:
        return read(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    except LoadFailed as error:
        raise LoadFailed(f"{url} with {connections} connections:\n{error}") from None


def read(said: str) -> Measure:
    """What wrk printed. Raises `LoadFailed` like `load`."""
    rate = _RATE.search(said)
    errors = _SOCKET.search(said)
    broken = _FAILED.search(said) or (errors and any(map(int, errors.groups())))
    if rate is None or float(rate[1]) == 0 or broken:
        raise LoadFailed(said)
    latency = {percent: float(value) * _MS[unit] for percent, value, unit in _LATENCY.findall(said)}
    return Measure(float(rate[1]), latency["50"], latency["99"])
