"""Owns the peers of `bench_scale`: other people's ways to as many rows of random text on this machine's cores.

They keep no promise about bytes, neither sync nor hash, and know no batches. All but tpchgen-cli, whose table `lineitem`
has sixteen columns, write the six columns of events as JSON lines.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from report import seconds_of

from support.spark import QUICK, lacking, submit_arguments

CORES = os.cpu_count() or 1
TYPES = ("start driving", "stopped driving", "delivered")
IDS = ("event_id", "driver_id", "company_id", "truck_id")
LINEITEMS = 6_000_000
"""Rows of `lineitem` at a scale factor of one."""

UNHURRIED = {key: value for key, value in QUICK.items() if key != "spark.driver.extraJavaOptions"}
"""A JVM that may optimise what it does."""

TPCHGEN = Path(sys.executable).with_name("tpchgen-cli")
DBLDATAGEN = Path(__file__).with_name("rows_of_dbldatagen.py")


def peers(rows: int, target: Path) -> tuple[dict[str, Callable[[], float]], list[str]]:
    """Return by name the calls that give the seconds of a peer for so many rows, and the names of those not installed."""
    found: dict[str, Callable[[], float]] = {
        "DuckDB, random rows": lambda: seconds_of(lambda: by_duckdb(target, rows)),
        "Polars, random rows": lambda: seconds_of(lambda: by_polars(target, rows)),
    }
    absent = []
    if find_spec("dbldatagen") and not lacking():
        found[f"dbldatagen, Spark local[{CORES}]"] = lambda: by_dbldatagen(target.with_name("dbldatagen"), rows)
    else:
        absent.append("dbldatagen")
    if TPCHGEN.exists():
        found["tpchgen-cli, lineitem as CSV"] = lambda: seconds_of(lambda: by_tpchgen(target.with_name("tpch"), rows))
    else:
        absent.append("tpchgen-cli")
    return found, absent


def by_duckdb(target: Path, rows: int) -> None:
    """Let DuckDB write random events."""
    choice = f"list_value{TYPES!r}[1 + (random() * 3)::INT % 3]"
    time = "strftime(TIMESTAMP '2026-01-01' + to_microseconds((random() * 9e8)::BIGINT), '%Y-%m-%dT%H:%M:%S.%fZ')"
    ids = ", ".join(f"uuid()::VARCHAR AS {name}" for name in IDS)
    query = f"SELECT {ids}, {choice} AS event_type, {time} AS timestamp FROM range({rows})"
    duckdb.sql(f"COPY ({query}) TO '{target}' (FORMAT json)")


def by_polars(target: Path, rows: int) -> None:
    """Let Polars write random events."""
    draws = np.random.default_rng(1)
    words = draws.integers(0, 2**63, (4, rows), np.int64)
    ids = {name: pl.Series(column).cast(pl.String).str.zfill(36) for name, column in zip(IDS, words, strict=True)}
    times = pl.Series(draws.integers(0, 900_000_000, rows)).cast(pl.Datetime("us"))
    types = pl.Series(TYPES).gather(draws.integers(0, 3, rows))
    columns = {"event_type": types, "timestamp": times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")}
    pl.DataFrame(ids | columns).write_ndjson(target)


def by_dbldatagen(folder: Path, rows: int) -> float:
    """Let dbldatagen write random events, in a process of its own; return its seconds without Spark's start."""
    shutil.rmtree(folder, ignore_errors=True)
    environment = os.environ | {
        "PYSPARK_SUBMIT_ARGS": f"{submit_arguments(f'local[{CORES}]', UNHURRIED)} pyspark-shell"
    }
    command = [sys.executable, str(DBLDATAGEN), str(folder), str(rows), *IDS]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return float(done.stdout.split()[-1])


def by_tpchgen(folder: Path, rows: int) -> None:
    """Let tpchgen-cli write about so many rows."""
    chosen = ["--tables", "lineitem", "--scale-factor", f"{rows / LINEITEMS:.3f}", "--output-dir", str(folder)]
    subprocess.run([str(TPCHGEN), "csv", *chosen], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
