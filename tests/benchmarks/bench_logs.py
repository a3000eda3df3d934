"""Measures what it costs to read the logs from their end: pages of 100 lines out of about 1 GB, beside reading it all.

`FLEETGEN_BENCH_LOG_BYTES` makes the logs smaller. The files are in the page cache, as those of a running set mostly are.
"""

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from report import print_goal, print_head, print_table, seconds_of

from fleetgen.logbook.files import LogFiles

TOTAL_BYTES = int(os.environ.get("FLEETGEN_BENCH_LOG_BYTES", 1_000_000_000))
FILE_BYTES = 10 * 1024 * 1024  # as supervisord rotates
PROCESSES = ("company", "control", "driver", "pipeline")
START = datetime(2026, 1, 1, tzinfo=UTC)
RARE_EVERY = 20_000
REPEATS = 200
SLOW_REPEATS = 5
GOAL_SECONDS = 0.020


def line(process: str, number: int) -> str:
    """Return a process's log line with this number; one of many is an error."""
    moment = START + timedelta(milliseconds=50 * number)
    first = {
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}",
        "level": "error" if number % RARE_EVERY == RARE_EVERY - 1 else "info",
        "logger": process,
        "event": f"{process.capitalize()} batch {number}: 15 events generated (8 valid, 7 corrupted)",
    }
    batch = {
        "kind": "batch_published",
        "stream": "events",
        "mode": "emulated",
        "segment": 1,
        "batch_id": f"{moment:%Y%m%dT%H%M%SZ}",
        "batch_number": number,
        "record_count": 15,
        "target_count": None,
        "valid_count": 8,
        "corrupted_count": 7,
        "duration_seconds": 0.004183,
        "start_lag_seconds": 0.000214,
        "batches_per_minute": 6.0,
    }
    return json.dumps(first | batch) + "\n"


def write_process(folder: Path, process: str, size: int) -> int:
    """Write one process's rotated files; return how many bytes."""
    count, number, written = max(1, round(size / FILE_BYTES)), 0, 0
    for place in range(count - 1, -1, -1):
        lines: list[str] = []
        length = 0
        while length < min(size, FILE_BYTES):
            lines.append(line(process, number))
            length += len(lines[-1])
            number += 1
        path = folder / (f"{process}.jsonl" + (f".{place}" if place else ""))
        path.write_text("".join(lines))
        written += length
    return written


def read_all(folder: Path) -> int:
    """Read every line as JSON and sort: what a reader does that does not know the order."""
    entries = []
    for path in folder.iterdir():
        with path.open("rb") as lines:
            entries += [json.loads(each)["timestamp"] for each in lines]
    entries.sort(reverse=True)
    return len(entries[:100])


def tail(folder: Path) -> None:
    """Call tail for the newest file of each process, as a script would."""
    paths = [str(folder / f"{process}.jsonl") for process in PROCESSES]
    subprocess.run(["tail", "-q", "-n", "100", *paths], check=True, capture_output=True)


def measured(work: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Return median and 99th percentile of seconds."""
    work()
    seconds = sorted(seconds_of(work) for _ in range(repeats))
    return statistics.median(seconds), seconds[min(len(seconds) - 1, round(len(seconds) * 0.99))]


def questions(logs: LogFiles, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what is asked, by what people call it."""
    oldest = START + timedelta(minutes=10)
    newest = logs.newest(1).lines[0].timestamp
    middle = START + (datetime.fromisoformat(newest) - START) / 2
    page = logs.newest(100, before=f"{middle:%Y-%m-%dT%H:%M:%SZ}")
    return {
        "newest 100": lambda: logs.newest(100),
        "newest 1000": lambda: logs.newest(1000),
        "100 before the middle, by time": lambda: logs.newest(100, before=f"{middle:%Y-%m-%dT%H:%M:%SZ}"),
        "100 before the middle, by cursor": lambda: logs.newest(100, before=page.next_before),
        "100 near the oldest": lambda: logs.newest(100, before=f"{oldest:%Y-%m-%dT%H:%M:%SZ}"),
        "what came since the newest": lambda: logs.newest(100, since=newest),
        "100 errors, indexed": lambda: logs.newest(100, levels=["error"]),
        "criticals (none), indexed": lambda: logs.newest(100, levels=["critical"]),
        "tail -n 100 of each process": lambda: tail(folder),
    }


def build_index(logs: LogFiles) -> None:
    """Index everything, in the steps of a caller that does other work too."""
    while not logs.extend_index():
        pass


def report(folder: Path, size: int) -> None:
    """Print every question's time beside reading everything."""
    logs = LogFiles(folder)
    direct = measured(lambda: LogFiles(folder).newest(100, levels=["critical"]), SLOW_REPEATS)[0]
    indexing = seconds_of(lambda: build_index(logs))
    timed = {name: measured(work) for name, work in questions(logs, folder).items()}
    everything = seconds_of(lambda: read_all(folder))
    rows = [
        [name, f"{median * 1e3:.2f}", f"{worst * 1e3:.2f}", f"{everything / median:,.0f}"]
        for name, (median, worst) in timed.items()
    ]
    rows.append(["criticals (none), no index", f"{direct * 1e3:.2f}", "", f"{everything / direct:,.0f}"])
    rows.append(["building the index, once", f"{indexing * 1e3:.2f}", "", f"{everything / indexing:,.0f}"])
    rows.append(["json.loads of every line", f"{everything * 1e3:.2f}", "", "1"])
    print_table([f"{size / 1e9:.2f} GB of logs", "median ms", "p99 ms", "times as fast"], rows)
    slowest = max(worst for name, (_, worst) in timed.items() if "tail" not in name and "1000" not in name)
    print_goal(f"every page of 100 in less than {GOAL_SECONDS * 1e3:.0f} ms at p99", slowest < GOAL_SECONDS)


def main() -> None:
    """Write the logs, then read them."""
    disk = "/dev/shm" if Path("/dev/shm").is_dir() else None
    print_head(f"Logs read from the end, on {disk or tempfile.gettempdir()}")
    with tempfile.TemporaryDirectory(prefix="fleetgen-", dir=disk) as folder:
        size = sum(write_process(Path(folder), process, TOTAL_BYTES // len(PROCESSES)) for process in PROCESSES)
        report(Path(folder), size)


if __name__ == "__main__":
    main()
