"""Measures events per second from the draws to the published batch, on one core and on two, beside other ways to write them.

The peers write the same number of records to the same disk with SHA-256. They are given finished values and measured on
a few records, scaled up; the limit writes and hashes the very bytes of the batch, made beforehand, on one core. All take
turns, and shares of the limit are medians over the turns, so that whatever else the machine does falls on all of them.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel
from report import (
    median_seconds,
    pin_to_one_core,
    print_goal,
    print_head,
    print_table,
    seconds_of,
    unpinned,
    usable_cores,
)

from fleetgen.cadence.clock import LogicalClock
from fleetgen.config.model import Config
from fleetgen.domain.records import Stream, instant
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import StreamMaker
from fleetgen.generation.outcomes import Published
from fleetgen.generation.recording import data_files
from fleetgen.processes.memory import keep_freed_memory
from fleetgen.storage.layout import Layout

PIECE_BYTES = 256 * 1024
PEER_RECORDS = 50_000
START = instant("2026-01-31T00:10:00Z")
GOAL_EVENTS = 2_500_000
GOAL_SHARE = 0.85
GOAL_SHARE_OF_TWO_CORES = 1.10


class Event(BaseModel):
    """A driver event as a model."""

    event_id: str
    driver_id: str
    company_id: str
    truck_id: str
    event_type: str
    timestamp: str


@dataclass(frozen=True)
class Measured:
    """Seconds of each turn for one batch, and for writing and hashing its bytes alone."""

    rows: int
    size: int
    parts: int
    published: list[float]
    by_two_cores: list[float]
    """The batch after it, hashed on another core; empty where the machine has but one."""
    plain: list[float]
    records: list[dict[str, Any]]


def config(rate: float) -> Config:
    """Return a production fleet of 10 000 drivers with this rate per driver in 15 minutes."""
    return Config.model_validate(
        {
            "mode": "production",
            "seed": 42,
            "fleet": {"drivers_per_company": 10, "max_active_companies": 1000, "event_rate_per_driver": rate},
            "modes": {
                "production": {"company_interval": "PT24H", "driver_interval": "PT15M", "companies_per_batch": 1000},
                "emulated": {},
            },
        }
    )


class Publisher:
    """Publishes batches of events, one after another, into a data directory of its own."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.layout = Layout(folder)
        self.clock = LogicalClock(START)
        self.dataset = Dataset(self.layout)
        self.makers = {stream: StreamMaker(stream, self.dataset, self.clock, lambda: config(rate)) for stream in Stream}
        self.publish(Stream.COMPANIES)

    def publish(self, stream: Stream) -> Published:
        """Make what is due next, as a process would."""
        maker = self.makers[stream]
        decision, again = maker.plan()
        while decision is None:
            self.clock.wait_until(again, 0)
            decision, again = maker.plan()
        outcome = maker.perform(decision)
        if not isinstance(outcome, Published):
            raise RuntimeError(f"{decision} was not published: {outcome}")
        return outcome

    def parts(self, batch: Published) -> list[bytes]:
        """Return the bytes of a batch's data files and delete the batch."""
        folder = self.layout.batch(Stream.EVENTS, batch.entry.batch_id)
        content = [file.read_bytes() for file in data_files(folder, Stream.EVENTS)]
        shutil.rmtree(folder)
        return content

    def timed(self) -> tuple[float, Published, list[bytes]]:
        """Return how long the next batch of events took, the batch, and its bytes."""
        outcomes: list[Published] = []
        seconds = seconds_of(lambda: outcomes.append(self.publish(Stream.EVENTS)))
        return seconds, outcomes[0], self.parts(outcomes[0])


def write_hashed(folder: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file durably, hashing it."""
    path, hashed = folder / "plain.jsonl", hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        for piece in pieces:
            hashed.update(piece)
            file.write(piece)
        os.fsync(file.fileno())


def plain(folder: Path, parts: list[bytes]) -> None:
    """Write and hash finished bytes in pieces."""
    for part in parts:
        view = memoryview(part)
        write_hashed(folder, (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES)))


def measure(folder: Path, rate: float, batches: int, cores: set[int]) -> Measured:
    """Publish batches, the first to warm up, and after each write its bytes again."""
    publisher = Publisher(folder, rate)
    publisher.timed()
    published, by_two_cores, alone = [], [], []
    for _ in range(batches):
        seconds, batch, parts = publisher.timed()
        published.append(seconds)
        alone.append(seconds_of(lambda: plain(folder, parts)))  # noqa: B023
        if len(cores) > 1:
            with unpinned(cores):
                by_two_cores.append(publisher.timed()[0])
    return Measured(
        rows=batch.entry.record_count,
        size=batch.entry.bytes,
        parts=len(parts),
        published=published,
        by_two_cores=by_two_cores,
        plain=alone,
        records=[json.loads(line) for line in islice(parts[0].splitlines(), PEER_RECORDS)],
    )


def peer_seconds(folder: Path, measured: Measured, encode: Callable[[dict[str, Any]], bytes], repeats: int) -> float:
    """Return how long a peer needs for all records of the batch, going by a few of them."""
    buffered = PIECE_BYTES // (measured.size // measured.rows)

    def pieces() -> Iterable[bytes]:
        records = iter(measured.records)
        while lines := [encode(record) for record in islice(records, buffered)]:
            yield b"\n".join(lines) + b"\n"

    seconds = median_seconds(lambda: write_hashed(folder, pieces()), repeats)
    return seconds * measured.rows / len(measured.records)


def share_of_limit(measured: Measured, turns: list[float]) -> float:
    """Return the median over the turns of the limit's time in it; of a way that took no turns, by the medians."""
    if len(turns) != len(measured.plain):
        return statistics.median(measured.plain) / statistics.median(turns)
    return statistics.median(limit / seconds for limit, seconds in zip(measured.plain, turns, strict=True))


def report(folder: Path, measured: Measured, repeats: int) -> None:
    """Print the batch beside its peers and its limit."""
    by_model = peer_seconds(folder, measured, lambda record: Event(**record).model_dump_json().encode(), repeats)
    ways = {
        "pydantic model_dump_json per record": [by_model],
        "orjson.dumps per dict": [peer_seconds(folder, measured, orjson.dumps, repeats)],
        "fleetgen: drawn, encoded, hashed, published": measured.published,
        "fleetgen on two cores": measured.by_two_cores,
        "plain write + sha256 on one core (the limit)": measured.plain,
    }
    rows = [
        [
            way,
            f"{measured.rows / statistics.median(turns) / 1e6:.2f}",
            f"{measured.size / statistics.median(turns) / 1e6:.0f}",
            f"{by_model / statistics.median(turns):.1f}",
            f"{share_of_limit(measured, turns):.0%}",
        ]
        for way, turns in ways.items()
        if turns
    ]
    files = "1 part" if measured.parts == 1 else f"{measured.parts} parts"
    print(f"{measured.rows:,} events, {measured.size / 1e6:.0f} MB in {files}")
    print_table(["way", "M events/s", "MB/s", "times pydantic", "of the limit"], rows)
    events, share = measured.rows / statistics.median(measured.published), share_of_limit(measured, measured.published)
    print_goal(f"at least {GOAL_EVENTS / 1e6} M events/s", events >= GOAL_EVENTS)
    print_goal(f"at least {GOAL_SHARE:.0%} of plain write + sha256", share >= GOAL_SHARE)
    if measured.by_two_cores:
        share = share_of_limit(measured, measured.by_two_cores)
        print_goal(f"at least {GOAL_SHARE_OF_TWO_CORES:.0%} of it on two cores", share >= GOAL_SHARE_OF_TWO_CORES)
    print()


def main() -> None:
    """Measure a batch of several parts and one of a single part."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batches", type=int, default=9, help="batches to take the median of")
    arguments.add_argument("--quick", action="store_true", help="three batches")
    options = arguments.parse_args()
    batches = 3 if options.quick else options.batches
    disk = "/dev/shm" if Path("/dev/shm").is_dir() else None
    keep_freed_memory()  # as every process that makes batches does
    cores = usable_cores()
    pinned = pin_to_one_core()
    print_head(
        f"Throughput of one core ({pinned}) and of two, on {disk or tempfile.gettempdir()}, medians of {batches}"
    )
    for rate in (100.0, 25.0):
        with tempfile.TemporaryDirectory(prefix="fleetgen-", dir=disk) as folder:
            report(Path(folder), measure(Path(folder), rate, batches, cores), batches)


if __name__ == "__main__":
    main()
