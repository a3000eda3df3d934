"""Measures history of small batches: making it in rounds, and checking all of it.

The peer publishes as many batches of the same bytes one at a time, as a running set does: each file synced, two renames'
worth of folders too, a line and a small file after each. The limit makes the batches and writes nothing.
"""

import argparse
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from report import print_goal, print_head, print_table, seconds_of

from fleetgen.config.loading import load
from fleetgen.domain import together
from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.generation.backfilling import Backfill, Span
from fleetgen.generation.checking import check, inputs_of
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.dividing import check_by_processes
from fleetgen.storage.files import replace_file, sync_folder, write_file
from fleetgen.storage.layout import Layout

PRESET = Path(__file__).parents[2] / "etc" / "presets" / "emulated.toml"
BEGIN = instant("2026-01-01T00:00:00Z")
STEP = 10 * SECOND
GOAL_MADE = 1500
GOAL_CHECKED = 5000


def noop() -> None:
    """Do nothing at a worker's start."""


def backfill(config: Path, batches: int, jobs: int) -> None:
    """Make an empty dataset's history: half of the batches are of companies."""
    loaded = load(config)
    end = BEGIN + (batches // 2 - 1) * STEP
    with Backfill(loaded.layout, loaded.config, Span(BEGIN, end, None), end) as history:
        made = sum(1 for _ in history.fill(history.begin(), jobs, noop))
    assert made == batches, made


def verify(dataset: Dataset, jobs: int) -> None:
    """Check all batches."""
    found = check(dataset, None) if jobs == 1 else check_by_processes(dataset, jobs, noop, lambda done: None)
    assert list(found) == []


def make_all(dataset: Dataset) -> None:
    """Make every batch again, small neighbours at once."""
    manifest = dataset.manifest()
    for stream in Stream:
        listed = (inputs_of(dataset, manifest, stream, entry) for entry in dataset.ledgers[stream].batches())
        for group in together.groups(listed, lambda inputs: inputs):
            for batch in together.make_batches(group):
                for _ in batch.pieces():
                    pass


def publish_singly(layout: Layout, target: Path) -> None:
    """Write the same files batch by batch, each with the syncs of a running set's commit."""
    for stream in Stream:
        shutil.rmtree(target / stream, ignore_errors=True)
        (target / stream).mkdir(parents=True)
        with (target / f"{stream}.ledger").open("ab") as ledger:
            for folder in sorted(layout.stream(stream).iterdir()):
                staged = target / "staged"
                staged.mkdir()
                for file in folder.iterdir():
                    write_file(staged / file.name, file.read_bytes())
                sync_folder(staged)
                staged.rename(target / stream / folder.name)
                sync_folder(target / stream)
                ledger.write(b"x" * 400 + b"\n")
                ledger.flush()
                os.fsync(ledger.fileno())
                replace_file(target / "manifest", b"x" * 4000)


def main() -> None:
    """Measure all in turns."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batches", type=int, default=20_000, help="batches, of both streams together")
    arguments.add_argument("--folder", type=Path, help="where to write; default: the folder for temporary files")
    arguments.add_argument("--quick", action="store_true", help="2000 batches")
    options = arguments.parse_args()
    batches = 2000 if options.quick else options.batches
    cores = os.cpu_count() or 1
    with TemporaryDirectory(prefix="fleetgen-backfill-", dir=options.folder) as name:
        config = Path(name) / "generator.toml"
        config.write_text(PRESET.read_text().replace('data = "../data"', 'data = "data"'))
        dataset = Dataset(load(config).layout)
        ways: dict[str, Callable[[], object]] = {
            f"fleetgen backfill, {cores} jobs": lambda: backfill(config, batches, cores),
            "fleetgen backfill": lambda: backfill(config, batches, 1),
            "published one at a time, ready bytes": lambda: publish_singly(dataset.layout, Path(name) / "peer"),
            "made, not written (limit of one core)": lambda: make_all(dataset),
            "fleetgen verify --all": lambda: verify(dataset, 1),
            f"fleetgen verify --all, {cores} jobs": lambda: verify(dataset, cores),
        }
        rates = {}
        for way, work in ways.items():
            if way.startswith("fleetgen backfill"):
                shutil.rmtree(dataset.layout.data, ignore_errors=True)  # which takes longer than to make them
            rates[way] = batches / seconds_of(work)
    limit = rates["made, not written (limit of one core)"]
    print_head(f"History of {batches} small batches (5 to 20 events, 10 companies)")
    rows = [[way, f"{rate:,.0f}", f"{rate / limit:.2f}"] for way, rate in rates.items()]
    print_table(["way", "batches/s", "of the limit"], rows)
    made = max(rate for way, rate in rates.items() if "backfill" in way)
    checked = max(rate for way, rate in rates.items() if "verify" in way)
    print_goal(f"{GOAL_MADE:,} batches/s made", made >= GOAL_MADE)
    print_goal(f"{GOAL_CHECKED:,} batches/s checked", checked >= GOAL_CHECKED)


if __name__ == "__main__":
    main()
