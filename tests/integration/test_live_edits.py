"""Edits of a running set, noticed by its two processes at moments of their own, under a clock that the tests move."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.storage.ledger import BatchEntry
from support.edits import (
    EditedSimulation,
    assert_intervals_tile,
    assert_streams_enter_segments_as_recorded,
    differences,
    entries,
)
from support.simulation import records

COMPANIES, EVENTS = Stream.COMPANIES, Stream.EVENTS

EDITS: tuple[dict[str, str], ...] = (
    {"mode": '"production"'},
    {"mode": '"emulated"'},
    {"seed": "7"},
    {"seed": "42"},
    {"companies_per_batch": "20", "events_per_batch": "{ min = 50, max = 60 }"},
    {"companies_per_batch": "10", "events_per_batch": "{ min = 5, max = 20 }"},
    {"company_interval": '"PT30S"', "driver_interval": '"PT7S"'},
    {"company_interval": '"PT10S"', "driver_interval": '"PT10S"'},
    {"geography_weights": "{ EU = 1.0, US = 3.0 }", "event_type_weights": '{ "delivered" = 1.0 }'},
    {"geography_weights": "{ US = 1.0 }", "seed": "43"},
)
"""Ten edits, back and forth, of everything that decides the bytes."""

ORDERS = {"company first": (COMPANIES, EVENTS), "driver first": (EVENTS, COMPANIES)}


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[EditedSimulation]:
    each = EditedSimulation(tmp_path)
    yield each
    each.stop()


def assert_sound(simulation: EditedSimulation) -> None:
    dataset = simulation.dataset
    for stream in Stream:
        assert_intervals_tile(dataset, stream)
    assert_streams_enter_segments_as_recorded(dataset)
    ids = [record["company_id"] for record in records(simulation.loaded.layout.data, COMPANIES)]
    assert ids
    assert len(set(ids)) == len(ids)
    assert differences(dataset) == []


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("seconds_between", [0, 3, 25], ids="noticed {} s apart".format)
def test_each_of_ten_edits_opens_one_segment_that_both_streams_enter_as_recorded(
    simulation: EditedSimulation, order: tuple[Stream, Stream], seconds_between: int
) -> None:
    simulation.run_for(33)
    for number, changes in enumerate(EDITS, 2):
        simulation.edit(**changes)
        simulation.run_for(0.4)
        simulation.notice(order[0])
        assert len(simulation.segments()) == number
        simulation.run_for(seconds_between)
        simulation.notice(order[1])
        assert len(simulation.segments()) == number
        simulation.run_for(47)
    assert_sound(simulation)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_every_segment_that_lasts_has_batches_of_both_streams_with_its_settings(
    simulation: EditedSimulation, order: tuple[Stream, Stream]
) -> None:
    simulation.run_for(33)
    for changes in EDITS:
        simulation.edit(**changes)
        simulation.notice(order[0])
        simulation.run_for(11)
        simulation.notice(order[1])
        simulation.run_for(3700 if "production" in changes.get("mode", "") else 45)
    assert_sound(simulation)
    for stream in Stream:
        metas = simulation.metas(stream)
        assert {meta["segment"] for meta in metas} == set(range(1, 12))
        for segment in simulation.segments():
            of_segment = [meta for meta in metas if meta["segment"] == segment.number]
            assert {meta["generation_mode"] for meta in of_segment} == {segment.settings.mode}
            assert {meta["base_seed"] for meta in of_segment} == {segment.settings.seed}
    sizes = [meta["record_count"] for meta in simulation.metas(EVENTS) if meta["segment"] == 6]
    assert all(50 <= size <= 60 for size in sizes)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_process_that_has_not_noticed_yet_already_follows_the_segment(
    simulation: EditedSimulation, order: tuple[Stream, Stream]
) -> None:
    first, other = order
    simulation.run_for(33)
    simulation.edit(seed="7")
    simulation.notice(first)
    simulation.run_for(30)
    newest = entries(simulation.dataset, other)[-1]
    assert isinstance(newest, BatchEntry)
    assert newest.segment == 2
    assert simulation.metas(other)[-1]["base_seed"] == 7
    assert_sound(simulation)


def test_the_first_interval_of_a_segment_runs_from_where_the_stream_stands_to_the_new_grid(
    simulation: EditedSimulation,
) -> None:
    simulation.run_for(33)
    simulation.edit(driver_interval='"PT1M"', company_interval='"PT1M"')
    simulation.notice(COMPANIES, EVENTS)
    simulation.run_for(130)
    lengths = [entry.interval.seconds for entry in entries(simulation.dataset, EVENTS)]
    assert lengths == [10, 10, 10, 10, 10, 20, 60]
    assert_sound(simulation)


@pytest.mark.parametrize("process", list(Stream))
def test_edits_are_followed_by_a_process_that_restarts_instead_of_noticing(
    simulation: EditedSimulation, process: Stream
) -> None:
    simulation.run_for(33)
    for number, changes in enumerate(EDITS, 2):
        simulation.edit(**changes)
        simulation.run_for(2)
        simulation.start(process)
        assert len(simulation.segments()) == number
        simulation.run_for(40)
    assert_sound(simulation)


def test_two_edits_before_anybody_noticed_open_one_segment_with_both(simulation: EditedSimulation) -> None:
    simulation.run_for(33)
    simulation.edit(seed="7")
    simulation.run_for(0.3)
    simulation.edit(companies_per_batch="20")
    simulation.notice(COMPANIES)
    simulation.run_for(30)
    simulation.notice(EVENTS)
    (_, segment) = simulation.segments()
    assert (segment.settings.seed, segment.settings.companies_per_batch) == (7, 20)
    assert_sound(simulation)


def test_an_edit_between_the_two_notices_opens_a_segment_of_its_own(simulation: EditedSimulation) -> None:
    simulation.run_for(33)
    simulation.edit(seed="7")
    simulation.notice(COMPANIES)
    simulation.edit(seed="8")
    simulation.notice(EVENTS)
    simulation.notice(COMPANIES)
    simulation.run_for(30)
    assert [segment.settings.seed for segment in simulation.segments()] == [42, 7, 8]
    assert {meta["segment"] for meta in simulation.metas(EVENTS)} == {1, 3}
    assert_sound(simulation)


def test_production_and_emulated_mode_take_turns_with_a_clean_before_each(tmp_path: Path) -> None:
    simulation = EditedSimulation(tmp_path, preset="base")
    datasets: list[str] = []
    for mode, seconds in (("production", 7200), ("emulated", 120), ("production", 7200)):
        simulation.edit(mode=f'"{mode}"')
        simulation.resume()
        simulation.notice(EVENTS)
        simulation.run_for(0.5)
        simulation.notice(COMPANIES)
        simulation.run_for(seconds)
        (segment,) = simulation.segments()
        assert segment.settings.mode == mode
        assert {meta["generation_mode"] for stream in Stream for meta in simulation.metas(stream)} == {mode}
        assert_sound(simulation)
        datasets.append(simulation.dataset.manifest().dataset_id)
        simulation.clean()
    assert len(set(datasets)) == 3
    assert simulation.metas(EVENTS) == []
    simulation.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"catch_up_limit": "3"},
        {"run": '"elsewhere"'},
        {"company_port": "9201", "driver_port": "9202"},
        {"address": '"127.0.0.2"'},
        {"stop_wait_seconds": "20"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_edit_that_leaves_the_bytes_alone_opens_no_segment(
    simulation: EditedSimulation, changes: dict[str, str]
) -> None:
    simulation.run_for(33)
    simulation.edit(**changes)
    simulation.notice(COMPANIES)
    simulation.run_for(20)
    simulation.notice(EVENTS)
    simulation.run_for(20)
    assert len(simulation.segments()) == 1
    assert_sound(simulation)


def test_an_edit_of_the_mode_that_is_not_in_force_opens_no_segment(simulation: EditedSimulation) -> None:
    simulation.run_for(33)
    text = simulation.file.read_text()
    production = text.index("[modes.production]")
    at = text.index("companies_per_batch = ", production)
    simulation.file.write_text(f"{text[:at]}companies_per_batch = 77\n{text[text.index(chr(10), at) + 1 :]}")
    assert simulation.loaded.config.modes.production.companies_per_batch == 77
    simulation.notice(COMPANIES, EVENTS)
    assert len(simulation.segments()) == 1


def test_an_edit_and_its_reversal_before_anybody_noticed_open_no_segment(simulation: EditedSimulation) -> None:
    simulation.run_for(33)
    text = simulation.file.read_text()
    simulation.edit(mode='"production"', seed="7")
    simulation.run_for(20)
    simulation.file.write_text(text)
    simulation.notice(COMPANIES, EVENTS)
    simulation.run_for(20)
    assert len(simulation.segments()) == 1
    assert {meta["segment"] for stream in Stream for meta in simulation.metas(stream)} == {1}
    assert_sound(simulation)
