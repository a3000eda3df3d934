"""Shows where the time of an event, and that of a small batch, goes; `make profile` runs it.

An event: the batch is planned, its lines are made, hashed and written; each step is timed by itself on the same batch, and the
lines' making is divided by function. A small batch: the phases as the metrics have them, and the syncs of the disk in them.
"""

import argparse
import cProfile
import hashlib
import os
import pstats
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from bench_throughput import Publisher, plain
from report import pin_to_one_core, print_head, print_table, seconds_of

from fleetgen.domain.batches import Batch, BatchInputs, make_batch
from fleetgen.domain.records import Stream
from fleetgen.processes.memory import keep_freed_memory

RATE = 25.0
"""Events per driver in 15 minutes: about 250,000 in a batch of one part."""

SMALL_RATE = 0.002
FUNCTIONS = 12


class Syncs:
    """Counts and times the syncs of this process."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch for a block."""
        original = os.fsync

        def fsync(descriptor: Any) -> None:
            self.count += 1
            self.seconds += seconds_of(lambda: original(descriptor))

        os.fsync = fsync  # type: ignore[assignment]
        try:
            yield
        finally:
            os.fsync = original


def inputs_of_next(publisher: Publisher) -> BatchInputs:
    """Return the inputs of the batch of events that is published next."""
    maker, dataset = publisher.makers[Stream.EVENTS], publisher.dataset
    manifest = dataset.manifest()
    return maker._inputs(manifest, dataset.next_interval(manifest, Stream.EVENTS))


def made(batch: Batch) -> list[bytes]:
    """Make all lines, and keep them."""
    return [bytes(piece.lines) for piece in batch.pieces()]


def time_of_making(batch: Batch) -> float:
    """Return how long making all lines takes, without keeping any."""
    start = perf_counter()
    for _ in batch.pieces():
        pass
    return perf_counter() - start


def profile_event(folder: Path, repeats: int) -> None:
    """Print the steps of a batch by event, and what making the lines consists of."""
    publisher = Publisher(folder, RATE)
    steps: dict[str, list[float]] = {name: [] for name in ("plan", "make", "hash", "write", "whole", "limit")}
    rows = 0
    for _ in range(repeats + 1):
        inputs = inputs_of_next(publisher)
        steps["plan"].append(seconds_of(lambda: make_batch(inputs)))  # noqa: B023
        batch = make_batch(inputs)
        steps["make"].append(time_of_making(batch))
        lines = made(batch)
        steps["hash"].append(seconds_of(lambda: [hashlib.sha256(piece) for piece in lines]))  # noqa: B023
        steps["write"].append(seconds_of(lambda: written(folder, lines)))  # noqa: B023
        steps["whole"].append(seconds_of(lambda: publisher.parts(publisher.publish(Stream.EVENTS))))
        steps["limit"].append(seconds_of(lambda: plain(folder, [b"".join(lines)])))  # noqa: B023
        rows = batch.rows
    print_event({name: statistics.median(taken[1:]) for name, taken in steps.items()}, rows)
    print_functions(make_batch(inputs_of_next(publisher)))


def written(folder: Path, lines: list[bytes]) -> None:
    """Write finished lines durably."""
    with (folder / "written.jsonl").open("wb", buffering=0) as file:
        for piece in lines:
            file.write(piece)
        os.fsync(file.fileno())


def print_event(seconds: dict[str, float], rows: int) -> None:
    """Print each step in nanoseconds by event."""
    named = {
        "plan (how many, from which companies)": seconds["plan"],
        "make the lines (draws, columns, text)": seconds["make"],
        "hash them (SHA-256)": seconds["hash"],
        "write them": seconds["write"],
    }
    rest = seconds["whole"] - sum(named.values())
    named |= {"all else (meta, renames, ledger, manifest; less what runs beside)": rest, "together": seconds["whole"]}
    print(f"An event, in a batch of {rows:,}")
    table = [[name, f"{taken / rows * 1e9:.1f}", f"{taken / seconds['whole']:.0%}"] for name, taken in named.items()]
    print_table(["step", "ns", "share"], table)
    print(f"The limit, plain write + sha256 of the same bytes: {seconds['limit'] / rows * 1e9:.1f} ns, ", end="")
    print(f"{seconds['limit'] / seconds['whole']:.0%} of the whole.\n")


def print_functions(batch: Batch) -> None:
    """Print which functions the making of lines spends its time in, by their own time."""
    profile = cProfile.Profile()
    profile.runcall(time_of_making, batch)
    stats = pstats.Stats(profile)
    own: Counter[str] = Counter()
    for (file, line, name), (_, _, taken, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        place = f"{Path(file).stem}:{line} " if file.endswith(".py") else ""
        own[f"{place}{name}"] += round(taken / batch.rows * 1e12)
    print("Making the lines, by function (own time, under a profiler)")
    print_table(
        ["function", "ns an event"], [[name, f"{taken / 1e3:.1f}"] for name, taken in own.most_common(FUNCTIONS)]
    )


def profile_small_batch(folder: Path, batches: int) -> None:
    """Print the phases of a small batch, and what of them is waiting for the disk."""
    publisher = Publisher(folder, SMALL_RATE)
    publisher.publish(Stream.EVENTS)
    phases: dict[str, list[float]] = {}
    whole: list[float] = []
    syncs = Syncs()
    with syncs.watched():
        for _ in range(batches):
            start = perf_counter()
            published = publisher.publish(Stream.EVENTS)
            whole.append(perf_counter() - start)
            for name, taken in published.phases.items():
                phases.setdefault(name, []).append(taken)
    total = statistics.median(whole)
    known = {name: statistics.median(taken) for name, taken in phases.items()}
    known |= {"between (deciding)": total - sum(known.values()), "together": total}
    print(f"A batch of {published.entry.record_count} events, medians of {batches}")
    print_table(
        ["phase", "ms", "share"],
        [[name, f"{taken * 1e3:.3f}", f"{taken / total:.0%}"] for name, taken in known.items()],
    )
    each = syncs.seconds / syncs.count
    print(f"{syncs.count / batches:.1f} syncs of the disk in each batch, {each * 1e3:.3f} ms each: ", end="")
    print(f"{syncs.seconds / sum(whole):.0%} of the time.\n")


def main() -> None:
    """Profile both."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=9, help="large batches to take the median of")
    arguments.add_argument("--batches", type=int, default=200, help="small batches to take the median of")
    options = arguments.parse_args()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    keep_freed_memory()  # as every process that makes batches does
    pinned = pin_to_one_core()
    print_head(f"Where the time goes, on one core ({pinned})")
    with tempfile.TemporaryDirectory(prefix="fleetgen-", dir=memory) as folder:
        print(f"In {memory or folder}")
        profile_event(Path(folder), options.repeats)
    for place in dict.fromkeys((memory, None)):
        with tempfile.TemporaryDirectory(prefix="fleetgen-", dir=place) as folder:
            print(f"In {Path(folder).parent}")
            profile_small_batch(Path(folder), options.batches)


if __name__ == "__main__":
    main()
