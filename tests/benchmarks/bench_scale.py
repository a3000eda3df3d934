"""Measures events per second and core of each way to make history: one job, one a core, executors of Spark.

The peers make as many rows with all threads that they take: see `peers_at_scale`. What is not installed is left out, and
named. All take turns, and the quickest of each counts. Spark's start is in the row of fleetgen, and told apart:
it varies by more seconds than small histories take, so that taking it away leaves noise. That of dbldatagen is left out.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers_at_scale import CORES, peers
from report import print_head, print_table, seconds_of

from fleetgen.cli.spark import makers
from fleetgen.config.loading import load
from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.making import Makers, local_makers
from support.spark import lacking

PRESET = Path(__file__).parents[2] / "etc" / "presets" / "base.toml"
BEGIN = instant("2026-01-01T00:00:00Z")
HOUR = 3600 * SECOND
START = "Spark's start and end"


def noop() -> None:
    """Do nothing at a worker's start."""


def backfill(config: Path, hours: int, chosen: AbstractContextManager[Makers]) -> int:
    """Make an empty dataset's history; return the number of events."""
    loaded = load(config)
    end = BEGIN + hours * HOUR
    with Backfill(loaded.layout, loaded.config, Span(BEGIN, end, None), end) as history, chosen as who:
        made = history.fill_by(history.begin(), who)
        return sum(each.meta["record_count"] for each in made if each.inputs.stream is Stream.EVENTS)


def on_spark(config: Path) -> AbstractContextManager[Makers]:
    """Return the executors of this machine's cores."""
    conf = ("spark.driver.memory=512m",)
    return makers(load(config), None, engine="spark", master=f"local[{CORES}]", partitions=None, conf=conf)


def ways(config: Path, hours: int) -> dict[str, tuple[int, Callable[[], float]]]:
    """Return each of our ways: its number of cores, and the call that makes the events and gives its seconds."""

    def timed(hours: int, chosen: Callable[[], AbstractContextManager[Makers]]) -> Callable[[], float]:
        def work() -> float:
            shutil.rmtree(load(config).layout.data, ignore_errors=True)
            return seconds_of(lambda: backfill(config, hours, chosen()))

        return work

    found = {
        "fleetgen, 1 job": (1, timed(hours, lambda: nullcontext(local_makers(1, noop)))),
        f"fleetgen, {CORES} jobs": (CORES, timed(hours, lambda: nullcontext(local_makers(CORES, noop)))),
    }
    if not lacking():
        found[START] = (CORES, timed(0, lambda: on_spark(config)))
        found[f"fleetgen, Spark local[{CORES}]"] = (CORES, timed(hours, lambda: on_spark(config)))
    return found


def main() -> None:
    """Measure all, one after the other."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hours", type=int, default=24, help="hours of history, about 140,000 events each")
    arguments.add_argument("--turns", type=int, default=3, help="turns of each way, of which the quickest counts")
    arguments.add_argument("--folder", type=Path, help="where to write; default: the folder for temporary files")
    arguments.add_argument("--quick", action="store_true", help="2 hours, and one turn")
    options = arguments.parse_args()
    if options.quick:
        options.hours, options.turns = 2, 1
    hours = options.hours
    with TemporaryDirectory(prefix="fleetgen-scale-", dir=options.folder) as name:
        config = Path(name) / "generator.toml"
        text = PRESET.read_text().replace('data = "../data"', 'data = "data"').replace('run = "../run"', 'run = "run"')
        config.write_text(text.replace("companies_per_batch = 100 ", "companies_per_batch = 1000 "))
        rows = backfill(config, hours, nullcontext(local_makers(1, noop)))
        print_head(f"{rows:,} events as JSON lines, the quickest of {options.turns}")
        others, absent = peers(rows, Path(name) / "peer")
        found = ways(config, hours) | {way: (CORES, work) for way, work in others.items()}
        report(best(found, options.turns), rows, absent)


def best(ways: dict[str, tuple[int, Callable[[], float]]], turns: int) -> dict[str, tuple[int, float]]:
    """Return of each way its cores and the least of its seconds: other programs only ever add to them."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, (_, work) in ways.items():
            os.sync()  # what one way has written is no work of the next
            seconds[way].append(work())
    return {way: (cores, min(seconds[way])) for way, (cores, _) in ways.items()}


def report(measured: dict[str, tuple[int, float]], rows: int, absent: list[str]) -> None:
    """Print events per second of each way, from its cores and seconds."""
    _, start = measured.pop(START, (0, 0.0))
    _, single = measured["fleetgen, 1 job"]
    table = [
        [way, f"{rows / seconds:,.0f}", f"{rows / seconds / cores:,.0f}", f"{single / seconds:.2f}"]
        for way, (cores, seconds) in measured.items()
    ]
    print_table(["way", "events/s", "events/s per core", "times 1 job"], table)
    if start:
        print(f"Spark's start and end, which the row of fleetgen on Spark has in it: {start:.1f} s")
    for name in absent:
        print(f"{name} is not installed: left out")
    print()


if __name__ == "__main__":
    main()
