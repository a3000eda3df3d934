"""Pause and resume as desired state in the manifest, under a clock that the tests move."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetgen.cadence.schedule import Make
from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.generation import lifecycle
from fleetgen.generation.checking import check
from fleetgen.generation.outcomes import Published
from fleetgen.storage.ledger import GapEntry
from support.configs import fleetgen
from support.edits import assert_intervals_tile, entries
from support.simulation import Simulation, simulated

SETTINGS = {"company_interval": '"PT10S"', "driver_interval": '"PT5S"', "catch_up_limit": "1000"}

Way = Callable[[Simulation], object]


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, **SETTINGS) as each:
        yield each


def pause(simulation: Simulation) -> bool:
    return lifecycle.pause(simulation.dataset, simulation.clock.now(), "a reason")


def resume(simulation: Simulation) -> lifecycle.Resumed:
    return lifecycle.resume(simulation.dataset, simulation.clock.now(), simulation.loaded.config)


def assert_sound(simulation: Simulation) -> None:
    for stream in Stream:
        assert_intervals_tile(simulation.dataset, stream)
    assert [str(each) for each in check(simulation.dataset, None)] == []


def published(simulation: Simulation) -> int:
    return sum(len(simulation.metas(stream)) for stream in Stream)


def live_on(simulation: Simulation) -> None:
    """Do nothing: the processes live on."""


def restart(simulation: Simulation) -> None:
    simulation.start()


def be_down_for_a_minute(simulation: Simulation) -> None:
    simulation.stop()
    simulation.clock.moment += 60 * SECOND
    simulation.start()


def edit(simulation: Simulation) -> None:
    simulation.edit(companies_per_batch="7")
    for maker in simulation.makers.values():
        maker.follow_config()


@pytest.mark.parametrize("meanwhile", [live_on, restart, be_down_for_a_minute, edit])
def test_no_batch_appears_while_paused_and_a_resume_goes_on_with_the_next_interval(
    simulation: Simulation, meanwhile: Way
) -> None:
    # given a pause in the middle of an interval of both streams
    simulation.run_for(33)
    paused_at, before = simulation.clock.now(), published(simulation)
    pause(simulation)

    # when that goes on for minutes, whatever happens meanwhile
    simulation.run_for(31)
    meanwhile(simulation)
    simulation.run_for(31)
    assert published(simulation) == before
    resumed_at = simulation.clock.now()
    resume(simulation)
    made = simulation.run_for(0.1)
    assert not any(isinstance(each, Published) for each in made)
    simulation.run_for(40)

    # then no batch is of an interval that ended in the pause, and all of those are recorded as left out
    assert_sound(simulation)
    for stream in Stream:
        ends = [instant(meta["interval_end"]) for meta in simulation.metas(stream)]
        assert not any(paused_at < end <= resumed_at for end in ends)
        assert sum(end > resumed_at for end in ends) >= 3
        gaps = [entry for entry in entries(simulation.dataset, stream) if isinstance(entry, GapEntry)]
        assert {gap.reason for gap in gaps} == {"paused"}
        assert all(gap.interval.end > paused_at for gap in gaps)


def test_a_pause_has_an_instant_and_a_reason_and_a_second_one_changes_neither(simulation: Simulation) -> None:
    simulation.run_for(10)
    at = simulation.clock.now()
    assert pause(simulation)
    simulation.run_for(10)
    assert not lifecycle.pause(simulation.dataset, simulation.clock.now(), "another reason")
    desired = simulation.dataset.manifest().desired
    assert (desired.paused, desired.paused_at, desired.pause_reason) == (True, at, "a reason")


def test_a_second_resume_changes_nothing(simulation: Simulation) -> None:
    simulation.run_for(10)
    pause(simulation)
    assert resume(simulation).changed
    before = simulation.dataset.manifest()
    simulation.clock.moment += SECOND
    assert not resume(simulation).changed
    assert simulation.dataset.manifest() == before
    assert before.desired.pause_reason is None


@pytest.mark.parametrize("stream", Stream)
def test_a_batch_that_was_under_way_when_the_pause_came_is_not_published(
    simulation: Simulation, stream: Stream
) -> None:
    simulation.run_for(9)
    simulation.clock.moment += 10 * SECOND
    decision, _ = simulation.makers[stream].plan()
    assert isinstance(decision, Make)
    before = published(simulation)
    pause(simulation)
    assert simulation.makers[stream].perform(decision) is None
    assert published(simulation) == before
    assert not any(simulation.loaded.layout.staging.iterdir())
    resume(simulation)
    simulation.run_for(30)
    assert_sound(simulation)


def test_a_pause_before_the_first_start_holds_even_the_first_batch_back(tmp_path: Path) -> None:
    # given a folder in which nothing has begun, and a pause from the command line
    with simulated(tmp_path / "other", **SETTINGS) as other:
        file = tmp_path / "generator.toml"
        file.write_text(other.file.read_text())
    assert fleetgen("pause", "--reason", "not yet", "--config", file, cwd=tmp_path).returncode == 0

    # when the processes start
    with simulated(tmp_path, **SETTINGS) as simulation:
        simulation.run_for(30)
        assert published(simulation) == 0
        assert simulation.dataset.manifest().origin is None

        # then everything begins with the resume
        resumed = resume(simulation)
        simulation.run_for(0.1)
        assert resumed.actions == ("companies:10", "driver_batch:1")
        assert published(simulation) == 2
        simulation.run_for(30)
        assert_sound(simulation)
        assert simulation.dataset.manifest().reinitialised.count == 1


@pytest.mark.parametrize("seconds", [0, 1, 4, 5, 9, 26])
def test_a_pause_of_any_length_costs_exactly_the_intervals_that_end_in_it(simulation: Simulation, seconds: int) -> None:
    simulation.run_until(instant("2026-01-05T12:01:01.000000Z"))
    pause(simulation)
    simulation.run_for(seconds)
    resume(simulation)
    simulation.run_for(40)
    lost = {stream: simulation.dataset.manifest().head(stream).totals.missed.get("paused", 0) for stream in Stream}
    assert lost == {Stream.COMPANIES: (1 + seconds) // 10, Stream.EVENTS: (1 + seconds) // 5}
    assert_sound(simulation)


def test_the_command_line_pauses_and_resumes_through_the_manifest_alone(simulation: Simulation) -> None:
    simulation.run_for(10)
    here, config = simulation.file.parent, simulation.file

    first = fleetgen("pause", "--reason", "lunch", "--config", config, cwd=here)
    again = fleetgen("pause", "--config", config, cwd=here)
    assert (first.returncode, again.returncode, again.stdout) == (0, 0, "Already paused.\n")
    desired = simulation.dataset.manifest().desired
    assert (desired.paused, desired.pause_reason) == (True, "lunch")

    first = fleetgen("resume", "--config", config, cwd=here)
    again = fleetgen("resume", "--config", config, cwd=here)
    assert (first.returncode, again.returncode, again.stdout) == (0, 0, "Not paused.\n")
    assert not simulation.dataset.manifest().desired.paused
