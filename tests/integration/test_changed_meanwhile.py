"""What was true before a lock was taken is looked at again under it: a clean, and retention, may have come between."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import DatasetChanged
from fleetgen.generation import cleaning, lifecycle
from fleetgen.generation.checking import Difference, check
from fleetgen.generation.cleaning import clean
from fleetgen.generation.repairing import repair
from fleetgen.storage.bronze import publish_batch
from fleetgen.storage.locks import FileLock
from fleetgen.storage.manifest import Manifest
from fleetgen.storage.pruning import note_pruned
from support.patience import wait_for
from support.simulation import Simulation, simulated


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, company_interval='"PT10S"', driver_interval='"PT5S"') as each:
        each.run_for(30)
        yield each


class Repairing:
    """A repair that waits for a lock, and what became of it."""

    def __init__(self, simulation: Simulation, manifest: Manifest, difference: Difference) -> None:
        self._simulation, self._manifest, self._difference = simulation, manifest, difference
        self.result: bool | None = None
        self.fault: Exception | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.result = repair(self._simulation.dataset, self._manifest, self._difference)
        except Exception as fault:
            self.fault = fault


def missing_batch(simulation: Simulation) -> Difference:
    """Delete a batch by hand; return the difference that it makes."""
    folder = sorted(simulation.loaded.layout.stream(Stream.EVENTS).iterdir())[2]
    shutil.rmtree(folder)
    (difference,) = check(simulation.dataset, None)
    assert difference.batch_id == folder.name
    return difference


def waits_for(path: Path) -> bool:
    """Whether somebody has a lock's file open beside the one who holds it."""
    return sum(each.resolve() == path for each in Path("/proc/self/fd").iterdir() if each.exists()) > 1


def test_a_repair_that_waited_for_a_clean_publishes_nothing_into_the_new_dataset(simulation: Simulation) -> None:
    layout, manifest, difference = simulation.loaded.layout, simulation.dataset.manifest(), missing_batch(simulation)
    simulation.stop()
    repairing = Repairing(simulation, manifest, difference)
    lock = FileLock(layout.writer_lock(Stream.EVENTS))
    with lock.held():
        repairing.thread.start()
        wait_for(lambda: waits_for(lock.path), 5, "waiting for the lock")
        with simulation.dataset.store.locked() as transaction:  # as a clean does while it holds this lock
            cleaning._begin_cleaning(transaction)
            cleaning.finish_cleaning(layout, transaction)
    repairing.thread.join()
    assert isinstance(repairing.fault, DatasetChanged), (repairing.result, repairing.fault)
    assert not layout.batch(Stream.EVENTS, difference.batch_id).exists()


def test_a_repair_leaves_alone_what_retention_let_go_meanwhile(simulation: Simulation) -> None:
    manifest, difference = simulation.dataset.manifest(), missing_batch(simulation)
    note_pruned(simulation.loaded.layout, Stream.EVENTS, 3)
    assert repair(simulation.dataset, manifest, difference)
    assert not simulation.loaded.layout.batch(Stream.EVENTS, difference.batch_id).exists()


def test_no_leave_to_publish_is_given_into_another_dataset_nor_does_one_outlive_its_lock(
    simulation: Simulation,
) -> None:
    layout, store = simulation.loaded.layout, simulation.dataset.store
    before = simulation.dataset.manifest().dataset_id
    with store.locked() as transaction:
        kept = transaction.permit(before)
    with pytest.raises(DatasetChanged):
        publish_batch(kept, layout, layout.staging / "events", Stream.EVENTS, "20260105T120000Z")
    simulation.stop()
    lifecycle.pause(simulation.dataset, simulation.clock.now(), None)
    clean(layout)
    with store.locked() as transaction, pytest.raises(DatasetChanged):
        transaction.permit(before)


def test_a_damaged_batch_is_there_for_readers_while_it_is_repaired(simulation: Simulation) -> None:
    layout = simulation.loaded.layout
    folder = sorted(layout.stream(Stream.EVENTS).iterdir())[2]
    seen: list[bool] = []
    for _ in range(20):
        (folder / "events.jsonl").write_bytes(b"{}\n")
        (difference,) = check(simulation.dataset, None)
        repairing = Repairing(simulation, simulation.dataset.manifest(), difference)
        repairing.thread.start()
        while repairing.thread.is_alive():
            seen.append((folder / "events.jsonl").exists())
        repairing.thread.join()
        assert repairing.result, repairing.fault
    assert all(seen)
    assert list(layout.staging.iterdir()) == []
    assert list(layout.data.glob(".trash-*")) == []
