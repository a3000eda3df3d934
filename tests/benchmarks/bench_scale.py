"""Measures events per second and core of each way to make history: one job, one a core, executors of Spark.

The peers, DuckDB and Polars, write as many rows of the same six columns as JSON lines: random ids, a choice, a time, with
all threads that they take. They keep no promise about bytes, neither sync nor hash, and know no batches. The Spark row is left
out where pyspark or Java is missing. Spark's start is counted apart.
"""

import argparse
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import polars as pl
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
CORES = os.cpu_count() or 1
TYPES = ("start driving", "stopped driving", "delivered")


def noop() -> None:
    """Do nothing at a worker's start."""


def backfill(config: Path, hours: int, chosen: AbstractContextManager[Makers]) -> int:
    """Make an empty dataset's history; return the number of events."""
    loaded = load(config)
    shutil.rmtree(loaded.layout.data, ignore_errors=True)
    end = BEGIN + hours * HOUR
    with Backfill(loaded.layout, loaded.config, Span(BEGIN, end, None), end) as history, chosen as who:
        made = history.fill_by(history.begin(), who)
        return sum(each.meta["record_count"] for each in made if each.inputs.stream is Stream.EVENTS)


def on_spark(config: Path) -> AbstractContextManager[Makers]:
    """Return the executors of this machine's cores."""
    conf = ("spark.driver.memory=512m",)
    return makers(load(config), None, engine="spark", master=f"local[{CORES}]", partitions=None, conf=conf)


def by_duckdb(target: Path, rows: int) -> None:
    """Let DuckDB write random events."""
    choice = f"list_value{TYPES!r}[1 + (random() * 3)::INT % 3]"
    time = "strftime(TIMESTAMP '2026-01-01' + to_microseconds((random() * 9e8)::BIGINT), '%Y-%m-%dT%H:%M:%S.%fZ')"
    ids = ", ".join(f"uuid()::VARCHAR AS {name}" for name in ("event_id", "driver_id", "company_id", "truck_id"))
    query = f"SELECT {ids}, {choice} AS event_type, {time} AS timestamp FROM range({rows})"
    duckdb.sql(f"COPY ({query}) TO '{target}' (FORMAT json)")


def by_polars(target: Path, rows: int) -> None:
    """Let Polars write random events."""
    draws = np.random.default_rng(1)
    words = draws.integers(0, 2**63, (4, rows), np.int64)
    names = ("event_id", "driver_id", "company_id", "truck_id")
    ids = {name: pl.Series(column).cast(pl.String).str.zfill(36) for name, column in zip(names, words, strict=True)}
    times = pl.Series(draws.integers(0, 900_000_000, rows)).cast(pl.Datetime("us"))
    types = pl.Series(TYPES).gather(draws.integers(0, 3, rows))
    columns = {"event_type": types, "timestamp": times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")}
    pl.DataFrame(ids | columns).write_ndjson(target)


def ways(config: Path, hours: int, rows: int, target: Path) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return each way's number of cores and the call that makes the events."""
    found: dict[str, tuple[int, Callable[[], object]]] = {
        "fleetgen, 1 job": (1, lambda: backfill(config, hours, nullcontext(local_makers(1, noop)))),
        f"fleetgen, {CORES} jobs": (CORES, lambda: backfill(config, hours, nullcontext(local_makers(CORES, noop)))),
    }
    if not lacking():
        found["Spark's start and end"] = (CORES, lambda: backfill(config, 0, on_spark(config)))
        found[f"fleetgen, Spark local[{CORES}]"] = (CORES, lambda: backfill(config, hours, on_spark(config)))
    found["DuckDB, random rows"] = (CORES, lambda: by_duckdb(target, rows))
    found["Polars, random rows"] = (CORES, lambda: by_polars(target, rows))
    return found


def main() -> None:
    """Measure all, one after the other."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hours", type=int, default=24, help="hours of history, about 140,000 events each")
    arguments.add_argument("--folder", type=Path, help="where to write; default: the folder for temporary files")
    arguments.add_argument("--quick", action="store_true", help="2 hours")
    options = arguments.parse_args()
    hours = 2 if options.quick else options.hours
    with TemporaryDirectory(prefix="fleetgen-scale-", dir=options.folder) as name:
        config = Path(name) / "generator.toml"
        text = PRESET.read_text().replace('data = "../data"', 'data = "data"').replace('run = "../run"', 'run = "run"')
        config.write_text(text.replace("companies_per_batch = 100 ", "companies_per_batch = 1000 "))
        rows = backfill(config, hours, nullcontext(local_makers(1, noop)))
        print_head(f"{rows:,} events as JSON lines")
        measured = {
            way: (cores, seconds_of(work))
            for way, (cores, work) in ways(config, hours, rows, Path(name) / "peer").items()
        }
        start = measured.pop("Spark's start and end", (0, 0.0))[1]
        single = measured["fleetgen, 1 job"][1]
        table = []
        for way, (cores, seconds) in measured.items():
            net = max(seconds - start, 0.001) if "Spark" in way else seconds
            table.append([way, f"{rows / net:,.0f}", f"{rows / net / cores:,.0f}", f"{single / net:.2f}"])
        print_table(["way", "events/s", "events/s per core", "times 1 job"], table)
        if start:
            print(f"Spark's start and end, left out above: {start:.1f} s\n")


if __name__ == "__main__":
    main()
