"""Owns `fleetgen verify`: whether what lies on disk is what the settings make."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from fleetgen.cli.interrupting import interruptible
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.cli.progress import progress
from fleetgen.cli.workers import end_workers, start_checker
from fleetgen.domain.records import Stream
from fleetgen.errors import DatasetChanged, DifferenceFound
from fleetgen.generation import checking, repairing
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.dividing import check_by_processes
from fleetgen.machine import processors
from fleetgen.storage.manifest import Manifest

_NEWEST = 100
_WORTH_PROCESSES = 1000
"""Batches that take one process about as long as others take to start."""


@click.command
@click.option("--all", "check_all", is_flag=True, help=f"Every batch, not only the newest {_NEWEST} of each stream.")
@click.option("--repair", is_flag=True, help="Publish again, with the same bytes, what was deleted or damaged by hand.")
@click.option("--jobs", type=click.IntRange(1, 256), help="With --all, processes that check; default: the processors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_config
def verify(check_all: bool, repair: bool, jobs: int | None, as_json: bool, config_file: Path) -> None:
    """Make batches again from manifest and ledger, and compare them with what is on disk. Exit status 1 on a difference."""
    dataset = Dataset(load_in_use(config_file).layout)
    manifest = checking.require_dataset(dataset)
    total = sum(min(manifest.head(stream).next_batch, sys.maxsize if check_all else _NEWEST) for stream in Stream)
    if jobs is None:
        jobs = processors() if total >= _WORTH_PROCESSES else 1
    found = _checked(dataset, check_all, jobs, total)
    if dataset.manifest().dataset_id != manifest.dataset_id:
        raise DatasetChanged("The dataset was cleaned meanwhile: what was found is of the one before. Call again.")
    repaired = _repaired(dataset, manifest, found) if repair else [False] * len(found)
    _print_differences(found, repaired, total, as_json)
    left = repaired.count(False)
    if left:
        raise DifferenceFound(f"{left:,} {'difference' if left == 1 else 'differences'} in {total:,} batches.")
    if not found and not as_json:
        rest = "" if check_all else f" (the newest {_NEWEST} of each stream at most; --all checks every one)"
        click.echo(f"{total:,} batches checked: no difference{rest}.")


def _checked(dataset: Dataset, check_all: bool, jobs: int, total: int) -> list[checking.Difference]:
    """Return what was found; a bar shows how far the check has come."""
    checked = 0
    found: list[checking.Difference] = []

    def done() -> str:
        return (
            f"{checked:,} of {total:,} batches are checked, with {len(found):,} differences so far; nothing was changed, "
            "and the same command checks from the beginning."
        )

    with interruptible(done, end_workers), progress("Checking", total) as tell:

        def note(count: int) -> None:
            nonlocal checked
            checked = count
            tell(count)

        found.extend(_found(dataset, check_all, jobs, note))
    return found


def _found(
    dataset: Dataset, check_all: bool, jobs: int, progress: Callable[[int], None]
) -> Iterator[checking.Difference]:
    if check_all and jobs > 1:
        return check_by_processes(dataset, jobs, start_checker, progress)
    return checking.check(dataset, None if check_all else _NEWEST, progress)


def _repaired(dataset: Dataset, manifest: Manifest, found: list[checking.Difference]) -> list[bool]:
    done = 0
    with (
        interruptible(lambda: f"{done:,} of {len(found):,} differences are dealt with; the same command goes on."),
        progress("Repairing", len(found)) as tell,
    ):

        def note(count: int) -> None:
            nonlocal done
            done = count
            tell(count)

        return repairing.repair_all(dataset, manifest, found, note)


def _print_differences(found: list[checking.Difference], repaired: list[bool], total: int, as_json: bool) -> None:
    pairs = list(zip(found, repaired, strict=True))
    if as_json:
        listed = [
            {"stream": each.stream, "batch_id": each.batch_id, "difference": each.text, "repaired": done}
            for each, done in pairs
        ]
        click.echo(json.dumps({"batches": total, "differences": listed}, indent=2))
        return
    for each, done in pairs:
        click.echo(f"{each}; repaired" if done else str(each))
