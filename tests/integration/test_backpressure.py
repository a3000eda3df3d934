"""A consumer that falls behind: what is left out, what is counted, who is not waited for, and how it goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.errors import UsageError
from fleetgen.generation import lifecycle
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.storage.ledger import GapEntry
from support.simulation import Simulation, simulated

LIMIT = 5
SECONDS = {"company_interval": '"PT10S"', "driver_interval": '"PT10S"'}


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, max_backlog_batches=str(LIMIT), consumers='["pipeline", "mine"]', **SECONDS) as each:
        yield each


def acknowledge(simulation: Simulation, name: str, *streams: Stream) -> None:
    """Let a consumer have all that is published."""
    manifest = simulation.dataset.manifest()
    newest = {stream: manifest.head(stream).next_batch - 1 for stream in streams or tuple(Stream)}
    lifecycle.acknowledge(simulation.dataset, name, manifest.dataset_id, newest, simulation.clock.now())


def gaps(outcomes: list[Published | LeftOut]) -> list[GapEntry]:
    return [each.entry for each in outcomes if isinstance(each, LeftOut)]


def count(simulation: Simulation, stream: Stream) -> int:
    return simulation.dataset.manifest().head(stream).next_batch


def test_a_consumer_at_the_limit_costs_one_interval_after_the_other_and_no_batch(simulation: Simulation) -> None:
    # given a consumer that has what there is, and goes away without leaving
    simulation.run_for(30)
    acknowledge(simulation, "mine")
    before = {stream: count(simulation, stream) for stream in Stream}

    # when twelve intervals pass
    outcomes = simulation.run_for(120)

    # then as many batches as the limit allows are published, and every further interval is a gap of its own
    for stream in Stream:
        assert count(simulation, stream) == before[stream] + LIMIT
        assert simulation.dataset.manifest().head(stream).totals.missed == {"backpressure": 12 - LIMIT}
    assert {gap.reason for gap in gaps(outcomes)} == {"backpressure"}
    assert {gap.intervals for gap in gaps(outcomes)} == {1}
    assert len(gaps(outcomes)) == 2 * (12 - LIMIT)
    assert "consumer mine has not acknowledged 5 batches of" in str(gaps(outcomes)[0].detail)


def test_it_goes_on_by_itself_as_soon_as_the_consumer_has_caught_up(simulation: Simulation) -> None:
    simulation.run_for(10)
    acknowledge(simulation, "mine")
    simulation.run_for(100)
    standing = {stream: count(simulation, stream) for stream in Stream}
    acknowledge(simulation, "mine")
    outcomes = simulation.run_for(30)
    assert gaps(outcomes) == []
    assert {stream: count(simulation, stream) - standing[stream] for stream in Stream} == dict.fromkeys(Stream, 3)


def test_a_stream_is_held_up_by_its_own_backlog_alone(simulation: Simulation) -> None:
    simulation.run_for(10)
    acknowledge(simulation, "mine")
    for _ in range(10):
        simulation.run_for(10)
        acknowledge(simulation, "mine", Stream.COMPANIES)
    assert simulation.dataset.manifest().head(Stream.COMPANIES).totals.missed == {}
    assert simulation.dataset.manifest().head(Stream.EVENTS).totals.missed == {"backpressure": 10 - LIMIT}


def test_a_consumer_that_is_new_is_not_waited_for_because_of_what_was_there_before_it(simulation: Simulation) -> None:
    simulation.run_for(200)
    lifecycle.register(simulation.dataset, "mine")
    outcomes = simulation.run_for(10 * LIMIT)
    assert gaps(outcomes) == []
    assert gaps(simulation.run_for(10))


def test_a_consumer_that_left_holds_nobody_up_and_is_asked_for_its_backlog_when_it_is_back(
    simulation: Simulation,
) -> None:
    simulation.run_for(10)
    acknowledge(simulation, "mine")
    assert lifecycle.leave(simulation.dataset, "mine")
    assert gaps(simulation.run_for(200)) == []
    manifest = lifecycle.register(simulation.dataset, "mine")
    assert {stream: manifest.backlog("mine", stream) for stream in Stream} == dict.fromkeys(Stream, 20)
    assert gaps(simulation.run_for(10))


def test_a_consumer_that_is_not_listed_holds_nobody_up(simulation: Simulation) -> None:
    simulation.run_for(10)
    acknowledge(simulation, "somebody")
    assert gaps(simulation.run_for(200)) == []


@pytest.mark.parametrize("action", ["warn", "off"])
def test_where_it_is_to_be_said_alone_publishing_goes_on(simulation: Simulation, action: str) -> None:
    simulation.edit(action=f'"{action}"')
    simulation.start()
    simulation.run_for(10)
    acknowledge(simulation, "mine")
    assert gaps(simulation.run_for(200)) == []


def test_a_pause_during_backpressure_is_told_as_a_pause(simulation: Simulation) -> None:
    simulation.run_for(10)
    acknowledge(simulation, "mine")
    simulation.run_for(70)
    lifecycle.pause(simulation.dataset, simulation.clock.now(), None)
    assert {gap.reason for gap in gaps(simulation.run_for(50))} == {"paused"}


def test_acknowledging_what_does_not_exist_or_belongs_to_another_dataset_is_refused(simulation: Simulation) -> None:
    simulation.run_for(20)
    dataset, manifest = simulation.dataset, simulation.dataset.manifest()
    future = {Stream.EVENTS: manifest.head(Stream.EVENTS).next_batch}
    with pytest.raises(UsageError, match="There is no batch"):
        lifecycle.acknowledge(dataset, "mine", manifest.dataset_id, future, 0)
    with pytest.raises(lifecycle.WrongDataset):
        lifecycle.acknowledge(dataset, "mine", "0" * 32, {Stream.EVENTS: 0}, 0)
    assert dataset.manifest() == manifest


def test_a_disk_with_too_little_room_costs_intervals_and_nothing_else(simulation: Simulation) -> None:
    simulation.run_for(20)
    free = shutil.disk_usage(simulation.loaded.layout.data).free
    simulation.edit(min_free_bytes=str(2 * free))
    simulation.start()
    outcomes = simulation.run_for(30)
    assert [gap.reason for gap in gaps(outcomes)] == ["disk"] * 6
    assert "retention.min_free_bytes" in str(gaps(outcomes)[0].detail)
    simulation.edit(min_free_bytes="0")
    simulation.start()
    assert gaps(simulation.run_for(30)) == []


def test_the_first_batch_waits_for_room(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with simulated(tmp_path, min_free_bytes=str(2 * free), **SECONDS) as simulation:
        assert simulation.run_for(60) == []
        simulation.edit(min_free_bytes="0")
        simulation.start()
        assert not gaps(simulation.run_for(1))
        assert all(count(simulation, stream) >= 1 for stream in Stream)
