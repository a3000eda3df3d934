"""A clock that was far ahead and is right now: what stands still says so, and nothing else stays held up."""

from pathlib import Path

from fleetgen.cadence.clock import LogicalClock, system_now
from fleetgen.cadence.loop import WakeUp, rest
from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.generation import lifecycle
from fleetgen.generation.outcomes import LeftOut
from support.configs import fleetgen
from support.simulation import simulated

YEAR = 400 * 86_400 * SECOND


def test_streams_that_were_made_ahead_say_until_when_nothing_comes(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(30)
        manifest = simulation.dataset.manifest()
        for stream in Stream:
            assert simulation.dataset.stalled_until(manifest, stream, simulation.clock.now()) is None
        now = simulation.clock.now() - YEAR
        for stream in Stream:
            until = simulation.dataset.stalled_until(manifest, stream, now)
            assert until == simulation.dataset.next_interval(manifest, stream).end
            assert iso(until) in lifecycle.stall(iso(until))


def test_a_segment_that_was_opened_ahead_stands_still_too(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(30)
        simulation.clock.moment += YEAR
        simulation.edit(companies_per_batch="7")
        simulation.makers[Stream.EVENTS].follow_config()
        simulation.clock.moment -= YEAR
        manifest = simulation.dataset.manifest()
        assert simulation.dataset.stalled_until(manifest, Stream.EVENTS, simulation.clock.now()) is not None


def test_a_pause_that_ended_while_the_clock_was_ahead_is_over(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(30)
        lifecycle.pause(simulation.dataset, simulation.clock.now(), None)
        lifecycle.resume(simulation.dataset, simulation.clock.now() + YEAR, simulation.loaded.config)
        assert not [each for each in simulation.run_for(60) if isinstance(each, LeftOut)]


class SetBack(LogicalClock):
    """A clock that is set right at the first wait."""

    def wait_until(self, moment: int, wake_up: int) -> bool:
        self.moment -= YEAR
        return False


def test_a_rest_ends_when_the_clock_is_set_back() -> None:
    looks: list[int] = []
    clock = SetBack(2 * YEAR)
    rest(clock, WakeUp(), clock.now() + 60 * SECOND, lambda: looks.append(clock.now()))
    assert len(looks) == 1


def test_status_says_until_when_a_stream_stands_still(tmp_path: Path) -> None:
    with simulated(tmp_path, start=system_now() + YEAR) as simulation:
        simulation.run_for(30)
        told = fleetgen("status", "--config", simulation.file, cwd=tmp_path).stdout
    for stream in Stream:
        assert f"{stream} wait: nothing is made before {iso(system_now() + YEAR)[:4]}" in told
