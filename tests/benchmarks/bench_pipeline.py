"""Measures the medallion engine: one small batch, a backlog of them, one and ten million events, and how flat the cost stays.

The events are dirty: three of ten have an issue. Each measurement runs in a process of its own, so that the peak of its
memory is its own.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import sqlite3
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from bench_throughput import START, config
from report import print_goal, print_head, print_table, seconds_of

from fleetgen.cadence.clock import LogicalClock
from fleetgen.config.model import Config
from fleetgen.domain.records import Stream
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import StreamMaker
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.medallion.embedded.reading import FORMS
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, Ledger

ERROR_RATE = 0.3
MILLION_RATE = 100.0
LARGE_BATCHES = 9
GOAL_SMALL_SECONDS = 0.1
GOAL_BACKLOG = 3000.0
GOAL_LARGE_SECONDS = 3.0
GOAL_LARGE_BYTES = 450 << 20
GOAL_HUGE_BYTES = 600 << 20
GOAL_FLAT = 1.5
FEW_COMPANIES, MANY_COMPANIES = 1000, 10_000_000
AMONG_BATCHES = 60
KEEP_SECONDS = 5
"""Short, so that within the run old files go as they do within the hours of a real one."""


def dirty(rate: float, small: bool) -> Config:
    """Return the fleet of the throughput benchmark with issues; small: with batches of about 20 events."""
    values = config(rate).model_dump(mode="json")
    if small:
        bounds = {"companies_per_batch": 10, "events_per_batch": {"min": 15, "max": 25}}
        values |= {"mode": "emulated", "modes": {**values["modes"], "emulated": bounds}}
    quality = {"enabled": True, "event_error_rate": ERROR_RATE, "company_error_rate": ERROR_RATE}
    return Config.model_validate(values | {"quality": quality})


def publish_small(folder: Path, count: int) -> None:
    """Publish so many small batches of each stream."""
    publish(folder, dirty(1.0, small=True), count)


def publish_large(folder: Path, count: int) -> None:
    """Publish so many batches of about a million events."""
    publish(folder, dirty(MILLION_RATE, small=False), count)


def publish_huge(folder: Path, count: int) -> None:
    """Publish so many batches of about ten million events."""
    publish(folder, dirty(10 * MILLION_RATE, small=False), count)


def publish(folder: Path, chosen: Config, count: int) -> None:
    """Publish so many batches of events, and those of companies that are due meanwhile."""
    clock, dataset = LogicalClock(START), Dataset(Layout(folder))
    makers = {stream: StreamMaker(stream, dataset, clock, lambda: chosen) for stream in Stream}
    while count:
        waits = []
        for stream, maker in makers.items():
            decision, again = maker.plan()
            if decision is None:
                waits.append(again)
            elif maker.perform(decision) is not None and stream is Stream.EVENTS:
                count -= 1
        if len(waits) == len(makers):
            clock.wait_until(min(waits), 0)


def _entries(folder: Path, stream: Stream) -> list[BatchEntry]:
    return list(Ledger(Layout(folder).ledger(stream)).batches())


def _engine(folder: Path) -> EmbeddedEngine:
    return EmbeddedEngine(Layout(folder), "a-benchmark", lambda: None, KEEP_SECONDS)


def one_by_one(folder: Path, count: int) -> dict[str, Any]:
    """Carry small batches one at a time, both streams in turn; return seconds of the events' and files."""
    publish_small(folder, count)
    engine, seconds, upkeep, files = _engine(folder), [], [], []
    for company, event in zip(*(_entries(folder, stream) for stream in Stream), strict=False):
        engine.carry(Stream.COMPANIES, [company])
        upkeep.append(seconds_of(engine.maintain))
        seconds.append(seconds_of(lambda event=event: engine.carry(Stream.EVENTS, [event])))  # type: ignore[misc]
        upkeep.append(seconds_of(engine.maintain))
        if len(seconds) % 50 == 0:
            files.append(_files(folder))
    return {"seconds": seconds, "upkeep": upkeep, "files": files, "peak": peak_bytes()}


def among_companies(folder: Path, count: int) -> dict[str, Any]:
    """Carry small batches where so many companies are known already; return seconds of a batch of each stream and sizes."""
    publish_small(folder, AMONG_BATCHES)
    _engine(folder).close()
    know(Layout(folder).company_index, count)
    engine, seconds = _engine(folder), []
    for company, event in zip(*(_entries(folder, stream) for stream in Stream), strict=False):
        took = seconds_of(lambda one=company: engine.carry(Stream.COMPANIES, [one]))  # type: ignore[misc]
        seconds.append(took + seconds_of(lambda one=event: engine.carry(Stream.EVENTS, [one])))  # type: ignore[misc]
    size = Layout(folder).company_index.stat().st_size
    opened = seconds_of(lambda: _engine(folder))
    return {"seconds": seconds, "opened": opened, "size": size, "peak": peak_bytes()}


def know(index: Path, count: int) -> None:
    """Write so many companies of nobody into the index, in the order of their ids."""
    with closing(sqlite3.connect(index)) as connection:
        for part in range(256):
            ids = sorted(os.urandom(16) for _ in range(count // 256))
            rows = ((bytes([part]) + each[1:],) for each in sorted(ids, key=lambda each: each[1:]))
            connection.executemany("INSERT OR IGNORE INTO companies VALUES (?, 1)", rows)
            connection.commit()


def report_among(few: dict[str, Any], many: dict[str, Any]) -> None:
    """Print what a batch costs among few companies and among many."""
    rows = [
        [
            f"{count:,}",
            *(f"{each * 1e3:.0f}" for each in (statistics.median(found["seconds"]), found["opened"])),
            f"{found['size'] / 2**20:.1f}",
            f"{found['peak'] / 2**20:.0f}",
        ]
        for count, found in ((FEW_COMPANIES, few), (MANY_COMPANIES, many))
    ]
    print_table(["companies known", "a batch of each stream, ms", "start, ms", "index, MiB", "peak, MiB"], rows)
    ratio = statistics.median(many["seconds"]) / statistics.median(few["seconds"])
    print_goal(
        f"a batch among {MANY_COMPANIES:,} at most {GOAL_FLAT} times one among few ({ratio:.2f})", ratio <= GOAL_FLAT
    )


def _files(folder: Path) -> int:
    return sum(sum(1 for _ in form.folder(Layout(folder)).rglob("*.*")) for form in FORMS)


def backlog(folder: Path, count: int) -> dict[str, Any]:
    """Carry small batches of both streams in one go."""
    publish_small(folder, count)
    engine = _engine(folder)
    took = sum(seconds_of(lambda s=stream: engine.carry(s, _entries(folder, s))) for stream in Stream)  # type: ignore[misc]
    return {"rate": 2 * count / took, "peak": peak_bytes()}


def large(folder: Path, count: int) -> dict[str, Any]:
    """Carry batches of about a million events that another process published."""
    engine = _engine(folder)
    engine.carry(Stream.COMPANIES, _entries(folder, Stream.COMPANIES))
    entries = _entries(folder, Stream.EVENTS)[:count]
    seconds = [seconds_of(lambda entry=entry: engine.carry(Stream.EVENTS, [entry])) for entry in entries]  # type: ignore[misc]
    return {"seconds": seconds, "rows": [entry.record_count for entry in entries], "peak": peak_bytes()}


def peak_bytes() -> int:
    """Return the most memory that this process ever had in use."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(work: Callable[[Path, int], Any], folder: Path, count: int) -> Any:
    """Call in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as workers:
        return workers.submit(work, folder, count).result()


def report_small(found: dict[str, Any]) -> None:
    """Print the cost of a small batch over the run, in fifths."""
    seconds = found["seconds"]
    fifth = max(1, len(seconds) // 5)
    parts = [seconds[start : start + fifth] for start in range(0, fifth * 5, fifth)]
    rows = [
        [f"{number * fifth:,} …", f"{statistics.median(part) * 1e3:.0f}", f"{max(part) * 1e3:.0f}"]
        for number, part in enumerate(parts)
    ]
    print_table(["small batches of events, from batch", "median ms", "max ms"], rows)
    print(
        f"upkeep: {sum(found['upkeep']) / len(seconds) * 1e3:.0f} ms a batch, at most {max(found['upkeep']) * 1e3:.0f}"
    )
    print(f"files of all tables and logs, every 50 batches: {found['files']}, peak {found['peak'] / 2**20:.0f} MiB\n")
    print_goal(f"a small batch in {GOAL_SMALL_SECONDS} s", statistics.median(seconds) <= GOAL_SMALL_SECONDS)
    ratio = statistics.median(parts[-1]) / statistics.median(parts[0])
    print_goal(f"the last at most {GOAL_FLAT} times the first ({ratio:.2f})", ratio <= GOAL_FLAT)


def report_large(found: dict[str, Any], goal_bytes: int) -> None:
    """Print the cost of large batches of one size, and how much memory the process took with them."""
    rows, took, peak = (statistics.median(found["rows"]), statistics.median(found["seconds"]), found["peak"])
    print(f"{rows:,.0f} events in one batch: {took:.1f} s (median of {len(found['seconds'])})")
    if goal_bytes == GOAL_LARGE_BYTES:
        print_goal(f"a million events in {GOAL_LARGE_SECONDS} s", took <= GOAL_LARGE_SECONDS)
    print_goal(f"within {goal_bytes >> 20} MiB of memory ({peak / 2**20:.0f} MiB)", peak <= goal_bytes)


def measure_huge(folder: Path) -> None:
    """Publish and carry ten million events in one batch, and remove them."""
    apart(publish_huge, folder, 1)
    report_large(apart(large, folder, 1), GOAL_HUGE_BYTES)
    shutil.rmtree(folder)


def main() -> None:
    """Measure one after the other."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batches", type=int, default=2000, help="small batches of each stream, one by one")
    arguments.add_argument("--quick", action="store_true", help="200 batches, and a million events twice")
    arguments.add_argument("--huge", action="store_true", help="ten million events in one batch, and nothing else")
    options = arguments.parse_args()
    count = 200 if options.quick else options.batches
    print_head("Bronze to silver to gold")
    with tempfile.TemporaryDirectory(prefix="fleetgen-") as folder:
        if options.huge:
            measure_huge(Path(folder) / "huge")
            return
        million = 2 if options.quick else LARGE_BATCHES
        apart(publish_large, Path(folder) / "large", million)
        report_large(apart(large, Path(folder) / "large", million), GOAL_LARGE_BYTES)
        if not options.quick:
            measure_huge(Path(folder) / "huge")
        rate = apart(backlog, Path(folder) / "backlog", 500)["rate"]
        print_goal(
            f"a backlog of 1,000 small batches at {GOAL_BACKLOG:.0f} batches/s ({rate:.0f})", rate >= GOAL_BACKLOG
        )
        few, many = (
            apart(among_companies, Path(folder) / str(count), count) for count in (FEW_COMPANIES, MANY_COMPANIES)
        )
        report_among(few, many)
        report_small(apart(one_by_one, Path(folder) / "small", count))


if __name__ == "__main__":
    main()
