"""Measures what the injection of issues costs: events per second of one core with it and without, in one run.

Both publish the same batches, from the draws to the commit, in turn; with injection the truth is published as well.
"""

import argparse
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench_throughput import START, config
from report import pin_to_one_core, print_goal, print_head, print_table, seconds_of

from fleetgen.cadence.clock import LogicalClock
from fleetgen.config.model import Config
from fleetgen.domain.records import Stream
from fleetgen.generation.cleaning import clean
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import StreamMaker
from fleetgen.generation.outcomes import Published
from fleetgen.processes.memory import keep_freed_memory
from fleetgen.storage.layout import Layout

RATE_PER_DRIVER = 25.0
ERROR_RATE = 0.15
GOALS = {ERROR_RATE: 0.6, 1.0: 0.4}


def dirty_config(error_rate: float) -> Config:
    """Return the fleet of the throughput benchmark with issues at this rate; at 0 nothing is injected."""
    values = config(RATE_PER_DRIVER).model_dump(mode="json")
    return Config.model_validate(
        values | {"quality": {"enabled": error_rate > 0, "event_error_rate": error_rate, "company_error_rate": 0.15}}
    )


class Publisher:
    """Publishes batches of events, one after another, into a data directory of its own."""

    def __init__(self, folder: Path, error_rate: float) -> None:
        chosen = dirty_config(error_rate)
        self.layout = Layout(folder)
        self.clock = LogicalClock(START)
        dataset = Dataset(self.layout)
        self.makers = {stream: StreamMaker(stream, dataset, self.clock, lambda: chosen) for stream in Stream}
        self.publish(Stream.COMPANIES)
        self.publish(Stream.EVENTS)

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

    def timed(self) -> "Timed":
        """Publish the next batch of events."""
        outcomes: list[Published] = []
        seconds = seconds_of(lambda: outcomes.append(self.publish(Stream.EVENTS)))
        entry = outcomes[0].entry
        shutil.rmtree(
            self.layout.batch(Stream.EVENTS, entry.batch_id)
        )  # so that the next one finds memory in use before
        return Timed(entry.record_count, entry.corrupted_count, seconds)


@dataclass(frozen=True)
class Timed:
    """One batch and how long it took."""

    rows: int
    corrupted: int
    seconds: float


def measure(folder: Path, batches: int, rates: tuple[float, ...]) -> dict[float, list[Timed]]:
    """Publish batches at each error rate, in turn, so that whatever else the machine does falls on all of them."""
    publishers = {rate: Publisher(folder / str(rate), rate) for rate in rates}
    timed: dict[float, list[Timed]] = {rate: [] for rate in rates}
    for _ in range(batches):
        for rate, publisher in publishers.items():
            timed[rate].append(publisher.timed())
    for publisher in publishers.values():
        clean(publisher.layout)
    return timed


def ratio(dirty: Timed, clean: Timed) -> float:
    """Return the speed of a batch with issues over that of the batch without that was made in the same turn."""
    return (dirty.rows / dirty.seconds) / (clean.rows / clean.seconds)


def report(timed: dict[float, list[Timed]]) -> None:
    """Print events per second at each error rate beside those without injection; ratios are medians over the turns."""
    speeds = {rate: statistics.median(each.rows / each.seconds for each in made) for rate, made in timed.items()}
    ratios = {rate: statistics.median(map(ratio, made, timed[0.0])) for rate, made in timed.items()}
    rows = []
    for rate, made in timed.items():
        issues = sum(each.corrupted for each in made) / sum(each.rows for each in made)
        cost = (1 / speeds[rate] - 1 / speeds[0.0]) / rate * 1e6 if rate else 0.0
        rows.append(
            [
                f"error rate {rate:g}" if rate else "without injection",
                f"{issues:.1%}",
                f"{speeds[rate] / 1e6:.2f}",
                f"{ratios[rate]:.2f}",
                f"{cost:.2f}" if rate else "",
            ]
        )
    print(f"Batches of {timed[0.0][0].rows:,} events, data and truth")
    print_table(["", "with an issue", "M events/s", "ratio", "µs per issue"], rows)
    for rate, goal in GOALS.items():
        print_goal(f"at an error rate of {rate:g} at least {goal} of the speed without", ratios[rate] >= goal)


def main() -> None:
    """Measure without injection, at the demo's rate, and at greater ones."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batches", type=int, default=9, help="batches to take the median of")
    arguments.add_argument("--quick", action="store_true", help="three batches")
    options = arguments.parse_args()
    batches = 3 if options.quick else options.batches
    disk = "/dev/shm" if Path("/dev/shm").is_dir() else None
    keep_freed_memory()  # as every process that makes batches does
    pinned = pin_to_one_core()
    print_head(f"Injection on one core ({pinned}), on {disk or tempfile.gettempdir()}, medians of {batches}")
    with tempfile.TemporaryDirectory(prefix="fleetgen-", dir=disk) as folder:
        report(measure(Path(folder), batches, (0.0, ERROR_RATE, 0.5, 1.0)))


if __name__ == "__main__":
    main()
