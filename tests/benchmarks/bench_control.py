"""Measures the control process: answering for health beside 100,000 batches, and telling of a batch that is published.

Health is asked of two control processes in turn, with many batches and with ten, beside the listing of folders by which
health was told before there was a manifest. The latency of an event runs from the rename that publishes a batch (the
folder's ctime, exact to a tick of the kernel, 1 to 10 ms) to its arrival at a client, beside a client that asks for the
newest batches once a second, as a dashboard without events would.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from report import print_goal, print_head, print_table, seconds_of

sys.path.insert(0, str(Path(__file__).parents[1]))

from fleetgen.domain.records import SECOND, Stream, batch_id, iso
from fleetgen.generation import lifecycle, recording
from fleetgen.generation.cleaning import clean
from fleetgen.storage.files import make_folder
from fleetgen.storage.ledger import BatchEntry
from support.event_stream import Arrived, EventStream, answers, asked
from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet, free_ports
from support.simulation import Simulation

MANY, FEW = 100_000, 10
GOAL_HEALTH_MS = 5.0
GOAL_EVENT_MS = 200.0
BATCHES_A_SECOND = 2
EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"'}


class LongDataset:
    """A paused dataset with so many batches, half of each stream, one a second up to the present.

    The first batch of each stream is real; the others are folders with a meta, and what ledger and manifest say of them.
    """

    def __init__(self, folder: Path, batches: int) -> None:
        each = batches // 2
        start = (time.time_ns() // 1000 // SECOND - each) * SECOND
        self.simulation = Simulation(folder, start=start, **EVERY_SECOND)
        self.simulation.run_for(0.1)
        self.simulation.stop()
        self.layout = self.simulation.loaded.layout
        for stream in Stream:
            self._lengthen(stream, each)
        lifecycle.pause(self.simulation.dataset, time.time_ns() // 1000, "benchmark")

    def list_folders(self) -> int:
        """Count batches and find the newest as was done before there was a manifest: by the names of all folders."""
        names = [sorted(path.name for path in self.layout.stream(stream).iterdir()) for stream in Stream]
        newest = [
            json.loads(self.layout.batch_meta(stream, found[-1]).read_bytes())
            for stream, found in zip(Stream, names, strict=True)
        ]
        return sum(map(len, names)) + len(newest)

    def _lengthen(self, stream: Stream, batches: int) -> None:
        dataset = self.simulation.dataset
        head = dataset.manifest().head(stream)
        first = dataset.ledgers[stream].newest_batches(1)[0]
        meta = json.loads(self.layout.batch_meta(stream, first.batch_id).read_bytes())
        with self.layout.ledger(stream).open("ab") as ledger:
            for number in range(1, batches):
                entry = _following(first, head.stands_at, number)
                ledger.write(entry.model_dump_json().encode() + b"\n")
                self._write_folder(stream, entry, meta)
                head = recording.head_after(head, stream, entry, published_at=head.stands_at, late=False)
        with dataset.store.locked() as transaction:
            transaction.save(transaction.manifest.with_head(stream, head))

    def _write_folder(self, stream: Stream, entry: BatchEntry, meta: dict[str, Any]) -> None:
        folder = self.layout.batch(stream, entry.batch_id)
        folder.mkdir()
        times = {"interval_start": entry.start, "interval_end": entry.end, "scheduled_at": entry.end}
        times |= {"started_at": entry.end, "generation_time": entry.end}
        changed = {**meta, **times, "batch_id": entry.batch_id, "batch_number": entry.batch_number}
        (folder / "batch_meta.json").write_text(json.dumps(changed))


def _following(first: BatchEntry, starts_at: int, number: int) -> BatchEntry:
    companies = first.company_count * (number + 1)
    span = {"start": iso(starts_at), "end": iso(starts_at + SECOND), "batch_id": batch_id(starts_at)}
    return first.model_copy(update={**span, "batch_number": number, "company_count": companies})


class ControlAlone:
    """A control process without a set, and a kept connection to it."""

    def __init__(self, dataset: LongDataset) -> None:
        (port,) = free_ports(1)
        loaded = dataset.simulation.loaded
        make_folder(loaded.run)
        command = [*FLEETGEN, "run", "control", "--config", str(loaded.file), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._connection = HTTPConnection("127.0.0.1", port, timeout=10)
        wait_for(self._answers, 20, "The control process")

    @property
    def memory_mib(self) -> float:
        """The memory of the process that is in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def health(self) -> dict[str, Any]:
        """Ask once."""
        self._connection.request("GET", "/api/health")
        told: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return told

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self.process.terminate()
        self.process.wait(15)

    def _answers(self) -> bool:
        try:
            return bool(self.health())
        except OSError:
            self._connection.close()
            return False


@dataclass
class Asked:
    """Seconds that it took to learn how a dataset is."""

    batches: int
    by_api: list[float] = field(default_factory=list)
    by_listing: list[float] = field(default_factory=list)
    memory_mib: float = 0.0


def measure_health(folder: Path, sizes: tuple[int, ...], repeats: int) -> list[Asked]:
    """Ask for the health beside so many batches, in turn, so that whatever else the machine does falls on all."""
    with ExitStack() as stack:
        measured = [(Asked(size), LongDataset(folder / str(size), size)) for size in sizes]
        controls = [ControlAlone(dataset) for _, dataset in measured]
        for control, (asking, dataset) in zip(controls, measured, strict=True):
            stack.callback(clean, dataset.layout)
            stack.callback(control.stop)
            told = control.health()
            counted = told["company_generator"]["total_batches"] + told["driver_generator"]["total_batches"]
            if counted != asking.batches:
                raise RuntimeError(f"health tells of {counted} batches, not of {asking.batches}")
        for _ in range(repeats):
            for control, (asking, _) in zip(controls, measured, strict=True):
                asking.by_api.append(seconds_of(control.health))
        for control, (asking, dataset) in zip(controls, measured, strict=True):
            asking.by_listing = [seconds_of(dataset.list_folders) for _ in range(min(repeats, 9))]
            asking.memory_mib = control.memory_mib
    return [asking for asking, _ in measured]


def report_health(measured: list[Asked]) -> None:
    """Print how long asking takes, and how much memory the process that answers has in use."""
    few = 1000 * float(np.median(measured[0].by_api))
    rows = []
    for asking in measured:
        for way, seconds in (("GET /api/health", asking.by_api), ("listing the folders", asking.by_listing)):
            median, p99 = (1000 * float(np.percentile(seconds, share)) for share in (50, 99))
            memory = f"{asking.memory_mib:.0f}" if seconds is asking.by_api else ""
            rows.append(
                [f"{way}, {asking.batches:,} batches", f"{median:.2f}", f"{p99:.2f}", f"{median / few:.2f}", memory]
            )
    print_table(["", "median ms", "p99", "ratio", "MiB in use"], rows)
    many = 1000 * float(np.median(measured[-1].by_api))
    print_goal(f"a median below {GOAL_HEALTH_MS} ms beside {measured[-1].batches:,} batches", many < GOAL_HEALTH_MS)


class Polling:
    """A client that asks for the newest batches once a second."""

    def __init__(self, running: RunningSet) -> None:
        self.seen: dict[tuple[str, str], float] = {}
        self._running = running
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Ask during a block."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()

    def _poll(self) -> None:
        while not self._ended.wait(1):
            for meta in asked(self._running, "GET", "/batches?limit=20")["batches"]:
                self.seen.setdefault((meta["stream"], meta["batch_id"]), time.time())


def measure_events(seconds: float) -> dict[str, list[float]]:
    """Return the latencies in ms of the batches of so many seconds, by the way in which they were learnt of."""
    with RunningSet(control=True, pipeline=False, **EVERY_SECOND) as running:
        running.start()
        wait_for(lambda: answers(running), 10, "The control process")
        wait_for(lambda: running.batch_count("events") > 1, 10, "Some batches")
        polling = Polling(running)
        with polling.going_on(), EventStream(running.control_port) as stream:
            time.sleep(seconds + 1.5)
            told = [
                each for each in stream.of_kind("batch_generated") if _published(running, each.data) < time.time() - 1.5
            ]
        return {
            "server-sent event": [_latency(running, each) for each in told],
            "asking once a second": [
                1000 * (polling.seen[key] - _published(running, each.data))
                for each in told
                if (key := (each.data["stream"], each.data["batch_id"])) in polling.seen
            ],
        }


def _latency(running: RunningSet, event: Arrived) -> float:
    return 1000 * (event.at - _published(running, event.data))


def _published(running: RunningSet, told: dict[str, Any]) -> float:
    """Return the instant of the rename that published a batch."""
    folder: Path = running.data / "raw" / told["stream"] / told["batch_id"]
    return folder.stat().st_ctime


def report_events(latencies: dict[str, list[float]]) -> None:
    """Print how long after its publication a batch is known."""
    rows = []
    own = float(np.percentile(latencies["server-sent event"], 50))
    for way, values in latencies.items():
        shares = [float(np.percentile(values, share)) for share in (50, 99)]
        rows.append(
            [
                way,
                f"{len(values)}",
                *(f"{value:.0f}" for value in shares),
                f"{max(values):.0f}",
                f"{shares[0] / own:.1f}",
            ]
        )
    print_table(["a batch becomes known by", "batches", "p50 ms", "p99", "max", "ratio"], rows)
    late = float(np.percentile(latencies["server-sent event"], 99))
    print_goal(f"events within {GOAL_EVENT_MS:.0f} ms at the 99th percentile", late <= GOAL_EVENT_MS)


def main() -> None:
    """Measure health, memory, and the latency of events."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer calls, 10,000 batches and 15 s of events")
    options = arguments.parse_args()
    many, repeats = (MANY // 10, 100) if options.quick else (MANY, 1000)
    seconds = float(os.environ.get("FLEETGEN_BENCH_SECONDS", 15 if options.quick else 105))
    disk = "/dev/shm" if Path("/dev/shm").is_dir() else None
    print_head(f"Health beside many batches, {repeats} calls each, on {disk or tempfile.gettempdir()}")
    with tempfile.TemporaryDirectory(prefix="fleetgen-", dir=disk) as folder:
        report_health(measure_health(Path(folder), (FEW, many), repeats))
    print_head(f"From the publication of a batch to a client, {seconds:g} s at {BATCHES_A_SECOND} batches a second")
    report_events(measure_events(seconds))


if __name__ == "__main__":
    main()
