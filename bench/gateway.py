"""The gateway's speed and memory, beside Envoy with OPA, in one run on one machine: `make bench`.

Each way is measured at 4 and at 64 connections, three times in turns, and the median counts. Absolute
numbers are those of the machine and of the minute; the ratios, each within one round, are what matters. The
floor: with the journal on disk before each forward, at 64 connections, at least as fast as Envoy asking the
same Rego over HTTP, in at most 90 MB a worker.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from bench import scenario, servers
from bench.servers import Servers
from bench.wrk import Measure, load

CONNECTIONS: Final = (4, 64)
ROUNDS: Final = 3
BASE: Final = "Envoy + OPA over HTTP"
FLOOR: Final = "Tollhouse, journal fsync"
FLOOR_RATIO: Final = 1.0
RSS_MAX_MB: Final = 90.0
RESULTS: Final = Path(__file__).parent / "results"

WIDTH: Final = 100

console = Console(width=WIDTH)


@dataclass
class Way:
    """One way to the tool, and what was measured on it.

    `pid` is that of a gateway's workers' parent, `rss_mb` the resident memory of its largest worker when the
    load had ended, in millions of bytes.
    """

    name: str
    url: str
    script: Path
    pid: int | None = None
    runs: dict[int, list[Measure]] = field(default_factory=lambda: {each: [] for each in CONNECTIONS})
    rss_mb: float | None = None

    def per_s(self, connections: int) -> float:
        """The median of requests a second."""
        return statistics.median(run.per_s for run in self.runs[connections])

    def ratio_to(self, base: "Way", connections: int) -> float:
        """How many times the base's requests a second: the median of the rounds' own ratios, since both meet
        the same minute of the machine."""
        runs = zip(self.runs[connections], base.runs[connections], strict=True)
        return statistics.median(run.per_s / beside.per_s for run, beside in runs)

    def p99_ms(self, connections: int) -> float:
        """The median of the 99th percentile."""
        return statistics.median(run.p99_ms for run in self.runs[connections])

    def weigh(self) -> None:
        """Take the memory now."""
        if self.pid is not None:
            parent = psutil.Process(self.pid)
            self.rss_mb = max(worker.memory_info().rss for worker in parent.children() or [parent]) / 1e6


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write the JSON; not 0 when a floor is missed or could not be judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of one run")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", default="", help="measure only ways whose name has this in it")
    options = parser.parse_args(arguments)
    require_programs()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        running = Servers(Path(name))
        try:
            ways = [way for way in start(running) if options.only in way.name]
            measure(ways, options.seconds, options.rounds)
            show(ways)
            write(ways, options.seconds)
            return verdict(ways, partly=bool(options.only))
        finally:
            running.stop()


def require_programs() -> None:
    """The load and the tool are Debian packages; without them there is nothing to measure."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    missing = [name for name in ("wrk", "nginx") if shutil.which(name, path=path) is None]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} not found: apt-get install {' '.join(missing)}")


def start(running: Servers) -> list[Way]:
    """Start everything; idle servers take nothing from the one that is measured."""
    folder = running.folder
    tool = running.nginx()
    bundle = scenario.bundle(folder, servers.ROOT / "rego")
    opa = running.opa(bundle)
    registry = scenario.registry(folder, tool)
    call, whole_input = scenario.call_script(folder), scenario.input_script(folder)
    ways = [Way("the tool alone", f"http://127.0.0.1:{tool}{scenario.PATH}", call)]
    allow_socket, allow_port = running.allow_all()
    gateways = (
        ("Tollhouse, no decisions", allow_socket, allow_port, "os"),
        (FLOOR, opa.socket, opa.port, "fsync"),
        ("Tollhouse, journal os", opa.socket, opa.port, "os"),
    )
    for number, (name, socket, port, sync) in enumerate(gateways):
        listening, pid = running.gateway(str(number), registry, socket, port, sync)
        url = f"http://127.0.0.1:{listening}/tools/{scenario.SERVER}{scenario.PATH}"
        ways.append(Way(name, url, call, pid))
    port = running.envoy(tool, *servers.http_check(opa.port))
    ways.append(Way(BASE, f"http://127.0.0.1:{port}/call", whole_input))
    plugin = shutil.which("opa-envoy-plugin") or shutil.which("opa_envoy")
    if plugin is None:
        console.print("opa-envoy-plugin is not on PATH: Envoy with it is left out")
    else:
        port = running.envoy(tool, *servers.grpc_check(running.opa_envoy(bundle, plugin)))
        ways.append(Way("Envoy + opa-envoy-plugin", f"http://127.0.0.1:{port}/call", whole_input))
    return ways


def measure(ways: list[Way], seconds: int, rounds: int) -> None:
    """Every way in every round, so that a slow minute of the machine meets them all."""
    for way in ways:
        load(way.url, way.script, CONNECTIONS[-1], 1)
    total = rounds * len(CONNECTIONS) * len(ways)
    console.print(f"{total} runs of {seconds} s each, some {total * seconds // 60 + 1} minutes")
    for number in range(rounds):
        for connections in CONNECTIONS:
            for way in ways:
                way.runs[connections].append(load(way.url, way.script, connections, seconds))
        console.print(f"round {number + 1} of {rounds} done")
    for way in ways:
        way.weigh()


def show(ways: list[Way]) -> None:
    """The table."""
    table = Table(title=f"{os.cpu_count()} cores, {platform.machine()}; requests a second, median")
    table.add_column("way", no_wrap=True)
    base = next((way for way in ways if way.name == BASE), None)
    for connections in CONNECTIONS:
        table.add_column(f"{connections} conn.", justify="right")
        table.add_column("× Envoy", justify="right")
        table.add_column("p99 ms", justify="right")
    table.add_column("RSS MB", justify="right")
    for way in ways:
        cells = [way.name]
        for connections in CONNECTIONS:
            ratio = way.ratio_to(base, connections) if base else 0.0
            cells += [f"{way.per_s(connections):,.0f}", f"{ratio:.2f}", f"{way.p99_ms(connections):.1f}"]
        rss = way.rss_mb
        table.add_row(*cells, f"{rss:.0f}" if rss else "")
    console.print(table)


def write(ways: list[Way], seconds: int) -> None:
    """All runs, as JSON."""
    RESULTS.mkdir(exist_ok=True)
    base = next((way for way in ways if way.name == BASE), None)
    document: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cores": os.cpu_count(),
            "platform": platform.platform(),
            "python": sys.version.split()[0],
        },
        "seconds_a_run": seconds,
        "ways": [
            {
                "name": way.name,
                "rss_mb": way.rss_mb,
                "runs": {str(count): [run.document() for run in runs] for count, runs in way.runs.items()},
                "median_per_s": {str(count): way.per_s(count) for count in CONNECTIONS},
                "times_base": {str(count): way.ratio_to(base, count) for count in CONNECTIONS}
                if base
                else None,
            }
            for way in ways
        ],
    }
    path = RESULTS / f"gateway-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {path}")


def verdict(ways: list[Way], *, partly: bool) -> int:
    """0 where the floors hold, 1 where one is missed, 2 where something that they compare was not measured.

    Whoever asked for some ways only (`partly`) knows that they are not judged: 0 then.
    """
    found = {way.name: way for way in ways}
    missing = [name for name in (FLOOR, BASE) if name not in found]
    if not missing and found[FLOOR].rss_mb is None:
        missing = [f"the memory of {FLOOR}"]
    if missing:
        console.print(f"not judged: {' and '.join(missing)} was not measured")
        return 0 if partly else 2
    ratio = found[FLOOR].ratio_to(found[BASE], CONNECTIONS[-1])
    rss = max(way.rss_mb or 0.0 for way in ways)
    good = ratio >= FLOOR_RATIO and rss <= RSS_MAX_MB
    console.print(
        f"{'held' if good else 'MISSED'}: {ratio:.2f} × {BASE} at {CONNECTIONS[-1]} connections (floor "
        f"{FLOOR_RATIO}), {rss:.0f} MB a worker (at most {RSS_MAX_MB:.0f})"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
