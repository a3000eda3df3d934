"""Makes a large history on Spark in one go, and prints events per second and the memory of each process; then it removes all.

It is the command of the how-to, on a cluster of its own: a master and two workers of one core each, on this machine. It
looks first whether the disk has room, for `--days 31` makes 104 million events in 27 GB.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bench_scale import PRESET  # it lets Python find what tests have in common
from report import print_head, print_table

from fleetgen.domain.records import Stream
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import Ledger
from support.spark import processes, running_cluster, started_by

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY_EVENTS, EVENT_BYTES = 3_360_000, 262
SPARE_BYTES = 5 << 30
LOOK_SECONDS = 0.5
NAMES = {
    "CoarseGrainedExecutorBackend": "JVM of an executor",
    "deploy.master": "JVM of the master",
    "deploy.worker": "JVM of a worker",
    "deploy.SparkSubmit": "JVM of the driver",
    "pyspark.daemon": "Python of an executor",
    "backfill": "the command",
}


def main() -> None:
    """Make the history, tell of it, and remove it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--days", type=int, default=31, help="days of history, about 3.4 million events each")
    arguments.add_argument("--folder", type=Path, help="where to write; default: the folder for temporary files")
    options = arguments.parse_args()
    with TemporaryDirectory(prefix="fleetgen-large-", dir=options.folder) as name:
        require_room(Path(name), options.days)
        config = configured(Path(name))
        with running_cluster(Path(name) / "cluster") as master:
            end = (BEGIN + timedelta(days=options.days)).strftime("%Y-%m-%dT%H:%M:%SZ")
            span = ["--from", BEGIN.strftime("%Y-%m-%dT%H:%M:%SZ"), "--until", end]
            told = ["backfill", *span, "--engine", "spark", "--master", master, "--conf", "spark.executor.memory=512m"]
            seconds, peaks = watched([sys.executable, "-m", "fleetgen", *told, "--config", str(config)], master)
        report(Layout(Path(name) / "data"), seconds, peaks)


def require_room(folder: Path, days: int) -> None:
    """End with a word where the disk has too little room."""
    wanted, free = days * DAY_EVENTS * EVENT_BYTES + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < wanted:
        sys.exit(f"{folder} has {free / 1e9:.0f} GB of room, and {days} days want {wanted / 1e9:.0f} GB.")


def configured(folder: Path) -> Path:
    """Write a configuration whose thousand active companies are there from the first hour on; return its path."""
    text = PRESET.read_text().replace('data = "../data"', 'data = "data"').replace('run = "../run"', 'run = "run"')
    (folder / "generator.toml").write_text(text.replace("companies_per_batch = 100 ", "companies_per_batch = 1000 "))
    return folder / "generator.toml"


def watched(command: list[str], master: str) -> tuple[float, dict[str, int]]:
    """Run a command to its end; return its seconds, and by kind of process the most memory of one in bytes."""
    began, peaks = perf_counter(), defaultdict[str, int](int)
    process = subprocess.Popen(command)
    while process.poll() is None:
        daemons = processes("org.apache.spark.deploy", master.rpartition(":")[2])
        with suppress(OSError):
            for pid in {process.pid, *started_by(process.pid), *daemons, *(p for d in daemons for p in started_by(d))}:
                look(pid, peaks)
        time.sleep(LOOK_SECONDS)
    if process.returncode:
        sys.exit(process.returncode)
    return perf_counter() - began, peaks


def look(pid: int, peaks: dict[str, int]) -> None:
    """Note how much memory a process has had at most."""
    with suppress(OSError, StopIteration):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        kind = next(name for word, name in NAMES.items() if word in command)
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        peaks[kind] = max(peaks[kind], int(peak) << 10)


def report(layout: Layout, seconds: float, peaks: dict[str, int]) -> None:
    """Print what was made, how fast, and in how much memory."""
    batches = list(Ledger(layout.ledger(Stream.EVENTS)).batches())
    events, size = sum(each.record_count for each in batches), sum(each.bytes for each in batches)
    print_head(f"{events:,} events in {len(batches):,} batches, {size / 1e9:.1f} GB, on Spark: 2 executors of one core")
    print(f"{seconds:,.0f} s with Spark's start: {events / seconds:,.0f} events/s, {size / seconds / 1e6:,.0f} MB/s\n")
    print_table(["process", "peak RSS MiB"], [[kind, f"{peak >> 20:,}"] for kind, peak in sorted(peaks.items())])


if __name__ == "__main__":
    main()
