"""What is told of batches: each one once, in order, however far the ledger is ahead of the manifest that was read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.storage.manifest import Manifest
from fleetgen.web.known.following import Follower
from fleetgen.web.known.history import KEPT, History
from fleetgen.web.known.streams import Hub
from support.simulation import Simulation, simulated

SETTINGS = {"company_interval": '"PT10S"', "driver_interval": '"PT5S"'}


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, **SETTINGS) as each:
        yield each


class Watched:
    """A follower, and what it told."""

    def __init__(self, simulation: Simulation) -> None:
        self.hub = Hub("run")
        self.follower = Follower(simulation.loaded, None, self.hub)

    def told(self, stream: Stream) -> list[int]:
        """Numbers of the batches of a stream that were told, in order."""
        events = [event.data for event in self.hub._kept if event.kind == "batch_generated"]
        return [data["batch_number"] for data in events if data["stream"] == stream]


def look_back(simulation: Simulation, before: Manifest) -> None:
    """Let a reader see an earlier manifest beside the present ledgers, as if these were written after it was read."""
    simulation.dataset.store.write(before)


def test_batches_recorded_between_reading_the_manifest_and_the_ledger_are_all_told(simulation: Simulation) -> None:
    watched = Watched(simulation)
    simulation.run_for(12)
    watched.follower.look()
    simulation.run_for(5)
    early = simulation.dataset.manifest()
    simulation.run_for(40)
    late = simulation.dataset.manifest()

    look_back(simulation, early)
    watched.follower.look()
    number = early.head(Stream.EVENTS).next_batch
    assert watched.told(Stream.EVENTS) == [number - 1]
    newest = watched.follower.newest(Stream.EVENTS, 3)
    assert [entry.batch_number for entry in newest] == [number - 3, number - 2, number - 1]

    look_back(simulation, late)
    watched.follower.look()
    assert watched.told(Stream.EVENTS) == list(range(number - 1, late.head(Stream.EVENTS).next_batch))


def test_batches_whose_ledger_cannot_be_read_for_a_while_are_told_afterwards(simulation: Simulation) -> None:
    watched = Watched(simulation)
    simulation.run_for(12)
    watched.follower.look()
    first = simulation.dataset.manifest().head(Stream.EVENTS).next_batch
    simulation.run_for(10)
    ledger = simulation.dataset.ledgers[Stream.EVENTS].path
    ledger.rename(ledger.with_suffix(".away"))
    watched.follower.look()
    assert watched.told(Stream.EVENTS) == []
    ledger.with_suffix(".away").rename(ledger)
    watched.follower.look()
    assert watched.told(Stream.EVENTS) == [first, first + 1]


def test_the_history_knows_the_intervals_up_to_where_the_manifest_stands(simulation: Simulation) -> None:
    watched = Watched(simulation)
    history = History(watched.follower)
    simulation.run_for(30)
    watched.follower.look()
    history.refresh()
    simulation.run_for(10)
    early = simulation.dataset.manifest()
    simulation.run_for(KEPT * 5)

    look_back(simulation, early)
    watched.follower.look()
    history.refresh()
    numbers = [each.batch_number for each in history.of(Stream.EVENTS)]
    assert numbers == list(range(early.head(Stream.EVENTS).next_batch))


def test_a_manifest_that_is_put_back_tells_nothing_again_and_later_batches_are_told(simulation: Simulation) -> None:
    watched = Watched(simulation)
    simulation.run_for(12)
    early = simulation.dataset.manifest()
    watched.follower.look()
    simulation.run_for(20)
    watched.follower.look()
    told = watched.told(Stream.EVENTS)
    look_back(simulation, early)
    watched.follower.look()
    assert watched.told(Stream.EVENTS) == told
    simulation.run_for(10)
    watched.follower.look()
    assert watched.told(Stream.EVENTS) == [*told, told[-1] + 1, told[-1] + 2]
