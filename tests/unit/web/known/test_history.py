"""How the newest intervals went: batches and gaps in order, read once, forgotten with their dataset."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from fleetgen.domain.records import SECOND, Stream
from fleetgen.generation import lifecycle
from fleetgen.generation.cleaning import clean
from fleetgen.web.known.following import Follower
from fleetgen.web.known.history import KEPT, History
from fleetgen.web.known.streams import Hub
from support.simulation import Simulation, simulated

SETTINGS = {"company_interval": '"PT10S"', "driver_interval": '"PT5S"', "enabled": "true"}


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, **SETTINGS) as each:
        yield each


@pytest.fixture
def follower(simulation: Simulation) -> Follower:
    return Follower(simulation.loaded, None, Hub("run"))


def refreshed(history: History, follower: Follower) -> bool:
    follower.look()
    return history.refresh()


def test_what_is_known_are_the_batches_in_order(simulation: Simulation, follower: Follower) -> None:
    history = History(follower)
    simulation.run_for(30)
    assert refreshed(history, follower)
    assert not refreshed(history, follower)
    for stream in Stream:
        metas = simulation.metas(stream)
        past = history.of(stream)
        assert [each.batch_id for each in past] == [meta["batch_id"] for meta in metas]
        assert [each.records for each in past] == [meta["record_count"] for meta in metas]
        assert [each.corrupted for each in past] == [meta["corrupted_count"] for meta in metas]


def test_the_first_batch_was_late_on_purpose_and_the_others_were_punctual(
    simulation: Simulation, follower: Follower
) -> None:
    simulation.run_for(30)
    history = History(follower)
    refreshed(history, follower)
    first, *others = history.of(Stream.EVENTS)
    assert first.caught_up
    assert {(each.caught_up, each.lag) for each in others} == {(False, 0.0)}
    assert [each.deviation for each in others] == [None, *[0.0] * (len(others) - 1)]


def test_a_gap_has_its_reason_and_breaks_the_cadence(simulation: Simulation, follower: Follower) -> None:
    simulation.run_for(12)
    lifecycle.pause(simulation.dataset, simulation.clock.now(), None)
    simulation.run_for(20)
    lifecycle.resume(simulation.dataset, simulation.clock.now(), simulation.loaded.config)
    simulation.run_for(20)
    history = History(follower)
    refreshed(history, follower)
    past = history.of(Stream.EVENTS)
    gaps = [each for each in past if each.batch_id is None]
    assert {each.reason for each in gaps} == {"paused"}
    after = past[past.index(gaps[-1]) + 1]
    assert after.deviation is None
    assert all(earlier.end == later.start for earlier, later in pairwise(past))


def test_only_the_newest_are_kept(simulation: Simulation, follower: Follower) -> None:
    history = History(follower)
    simulation.run_for(KEPT * 5 + 60)
    refreshed(history, follower)
    assert len(history.of(Stream.EVENTS)) == KEPT
    assert history.of(Stream.EVENTS)[-1].batch_id == simulation.metas(Stream.EVENTS)[-1]["batch_id"]


def test_another_dataset_begins_another_history(simulation: Simulation, follower: Follower) -> None:
    history = History(follower)
    simulation.run_for(12)
    refreshed(history, follower)
    simulation.stop()
    clean(simulation.dataset.layout)
    assert refreshed(history, follower)
    assert history.of(Stream.EVENTS) == []


def test_a_batch_whose_meta_is_gone_is_still_known(simulation: Simulation, follower: Follower) -> None:
    simulation.run_for(12)
    newest = simulation.metas(Stream.EVENTS)[-1]["batch_id"]
    simulation.dataset.layout.batch_meta(Stream.EVENTS, newest).unlink()
    history = History(follower)
    refreshed(history, follower)
    past = history.of(Stream.EVENTS)[-1]
    assert (past.batch_id, past.lag, past.published_at) == (newest, None, None)
    assert past.end - past.start == 5 * SECOND
