"""The treasury's speed and memory, beside one transaction a command, in one run on one machine: `make bench`.

A spend is a paid call's: its money is held, and then captured, each a command of its own since a tool is
called in between. Closed loops have 64 clients. The peer is one transaction a command with a session a
client, as one builds it first; the same on eight sessions, which a pool puts in a queue, is shown beside it.
Floors: the store alone 15 times, through HTTP 3 times, the spends a second of the peer on one hot budget;
hold and capture take at most 5 ms (p50) at 200 spends a second through HTTP; with a million entries at least
0.8 of the speed with ten thousand; at most 120 MB resident.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

from bench import ledger_ways as ways
from bench.ledger_load import Measure, closed, open_loop
from bench.ledger_seed import begin_workflows, seed
from bench.ledger_spend import HOT
from bench.ledger_tigerbeetle import tigerbeetle, why_left_out
from bench.ledger_ways import Way
from schemas.ids import new_id
from tollhouse.local.ports import free_port
from tollhouse.local.postgres import Postgres
from treasury.edge.migrate import ROLES, install

CLIENTS: Final = 64
PEER: Final = f"one transaction a command, {CLIENTS} sessions"
FEW, MANY = 10_000, 1_000_000
OPEN_PER_S: Final = (200, 1_000)
RESULTS: Final = Path(__file__).parent / "results"
STORE_RATIO, HTTP_RATIO, GROWTH_RATIO = 15.0, 3.0, 0.8
ADDED_P50_MS, RSS_MAX_MB = 5.0, 120.0
SERVICE_ROLE: Final = "tollhouse_treasury"
DATABASE: Final = "ledger"

console = Console(width=110)


@dataclass
class Found:
    """What was measured, by way and kind of run; of several runs the median counts."""

    runs: dict[str, dict[str, list[Measure]]] = field(default_factory=dict)
    rss_mb: float = 0.0

    def keep(self, way: str, kind: str, measure: Measure) -> None:
        """Add a run, and tell it as it comes."""
        self.runs.setdefault(way, {}).setdefault(kind, []).append(measure)
        console.print(f"{way}, {kind}: {measure.per_s:,.0f}/s, p50 {measure.p50_ms:.1f} ms")

    def median(self, way: str, kind: str) -> Measure:
        """The run in the middle, by spends a second; by latency where they were given."""
        given = kind.startswith("open")
        runs = sorted(self.runs[way][kind], key=lambda run: run.p50_ms if given else run.per_s)
        return runs[len(runs) // 2]


@dataclass(frozen=True, slots=True)
class Floor:
    """What must hold."""

    name: str
    found: float
    limit: float
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.found <= self.limit if self.at_most else self.found >= self.limit


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write the JSON; 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--entries", type=int, default=MANY, help="entries of the grown ledger")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        postgres = Postgres(folder / "postgres", folder / "postgres.log", free_port(), new_id())
        child = postgres.prepare()
        child.start()
        child.wait_until(postgres.is_ready, 30.0)
        try:
            found = uvloop.run(measure(postgres, folder, options))
        finally:
            child.stop(30.0)
    floors = judge(found, options.entries)
    show(found)
    write(found, floors, options.seconds, options.entries)
    return verdict(floors)


async def measure(postgres: Postgres, folder: Path, options: argparse.Namespace) -> Found:
    """Every way in every round, so that a slow minute of the machine meets them all; then a grown ledger."""
    found, seconds = Found(), options.seconds
    admin, service = await _install(postgres)
    workflows = [new_id() for _ in range(CLIENTS)]
    await seed(admin, FEW, lambda _: None)
    await begin_workflows(admin, workflows, HOT)
    through_http = await ways.http(service, folder)
    all_ways = await _all_ways(service, through_http)
    for way in all_ways:
        await closed(way.on(workflows, hot=False), CLIENTS, seconds / 4)
    for _ in range(options.rounds):
        for way in all_ways:
            await _closed_loops(found, way, workflows, seconds)
        for per_s in OPEN_PER_S:
            spend = through_http.on(workflows, hot=True)
            found.keep(through_http.name, f"open, {per_s}/s", await open_loop(spend, per_s, seconds))
    found.rss_mb = through_http.rss_mb or 0.0
    for way in all_ways:
        await way.close()
    await _grow(found, (admin, service), workflows, options)
    return found


async def _all_ways(service: str, through_http: Way) -> list[Way]:
    all_ways = [await ways.singles(service, 8), await ways.singles(service, CLIENTS)]
    all_ways += [await ways.store(service), through_http]
    missing = why_left_out()
    if missing:
        console.print(missing)
        return all_ways
    return [*all_ways, await tigerbeetle()]


async def _grow(
    found: Found, dsns: tuple[str, str], workflows: list[str], options: argparse.Namespace
) -> None:
    """The store on few entries and on many."""
    for entries in (FEW, options.entries):
        if entries > FEW:
            console.print(f"growing the ledger to {entries:,} entries")
            await seed(dsns[0], entries, _tell_growth)
        for _ in range(options.rounds):
            found.keep(*await _grown(*dsns, workflows, options.seconds, entries))


async def _install(postgres: Postgres) -> tuple[str, str]:
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
    admin = postgres.dsn(database=DATABASE)
    await install(admin, dict.fromkeys(ROLES, postgres.password))
    return admin, postgres.dsn(SERVICE_ROLE, postgres.password, DATABASE)


async def _closed_loops(found: Found, way: Way, workflows: list[str], seconds: float) -> None:
    for kind, hot in (("one hot budget", True), ("10,000 budgets", False)):
        found.keep(way.name, kind, await closed(way.on(workflows, hot=hot), CLIENTS, seconds))


async def _grown(
    admin: str, service: str, workflows: list[str], seconds: float, entries: int
) -> tuple[str, str, Measure]:
    """The store on this many entries, each run from a fresh checkpoint."""
    connection = await asyncpg.connect(admin)
    await connection.execute("CHECKPOINT")
    await connection.close()
    way = await ways.store(service)
    spend = way.on(workflows, hot=True)
    await closed(spend, CLIENTS, seconds / 4)
    measured = await closed(spend, CLIENTS, seconds)
    await way.close()
    return way.name, f"{entries:,} entries", measured


def _tell_growth(entries: int) -> None:
    if entries % 250_000 == 0:
        console.print(f"  {entries:,}")


def judge(found: Found, entries: int) -> list[Floor]:
    """The floors, with what was found."""
    hot = "one hot budget"
    base = found.median(PEER, hot).per_s
    store, http = found.median("the store alone", hot).per_s, found.median("through HTTP", hot).per_s
    few = found.median("the store alone", f"{FEW:,} entries").per_s
    grown = found.median("the store alone", f"{entries:,} entries").per_s
    at_200 = found.median("through HTTP", "open, 200/s")
    return [
        Floor("store alone × one transaction a command", store / base, STORE_RATIO),
        Floor("through HTTP × one transaction a command", http / base, HTTP_RATIO),
        Floor("hold + capture at 200/s, p50 ms", at_200.p50_ms, ADDED_P50_MS, at_most=True),
        Floor(f"{entries:,} entries × {FEW:,}", grown / few, GROWTH_RATIO),
        Floor("treasury, MB resident", found.rss_mb, RSS_MAX_MB, at_most=True),
    ]


def show(found: Found) -> None:
    """The table."""
    table = Table(title=f"{os.cpu_count()} cores, {platform.machine()}; spends a second (hold and capture)")
    base = found.median(PEER, "one hot budget").per_s
    for column in ("way", "run", "spends/s", "× peer, hot", "p50 ms", "p99 ms", "left out"):
        table.add_column(column, justify="left" if column in ("way", "run") else "right")
    for way, runs in found.runs.items():
        for kind in runs:
            run = found.median(way, kind)
            cells = f"{run.per_s:,.0f}", f"{run.per_s / base:.1f}", f"{run.p50_ms:.1f}", f"{run.p99_ms:.1f}"
            table.add_row(way, kind, *cells, str(run.left_out or ""))
    console.print(table)


def write(found: Found, floors: Sequence[Floor], seconds: float, entries: int) -> None:
    """All runs, as JSON."""
    RESULTS.mkdir(exist_ok=True)
    document: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cores": os.cpu_count(),
            "platform": platform.platform(),
            "python": sys.version.split()[0],
        },
        "seconds_a_run": seconds,
        "entries": entries,
        "treasury_rss_mb": found.rss_mb,
        "ways": {
            way: {kind: [run.document() for run in all_of] for kind, all_of in runs.items()}
            for way, runs in found.runs.items()
        },
        "floors": [
            {"name": each.name, "found": each.found, "limit": each.limit, "holds": each.holds}
            for each in floors
        ],
    }
    path = RESULTS / f"ledger-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {path}")


def verdict(floors: Sequence[Floor]) -> int:
    """Whether the floors hold."""
    for floor in floors:
        bound = "at most" if floor.at_most else "at least"
        word = "held" if floor.holds else "MISSED"
        console.print(f"{word}: {floor.name}: {floor.found:.2f} ({bound} {floor.limit:g})")
    return 0 if all(floor.holds for floor in floors) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
