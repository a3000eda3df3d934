"""Both streams through the real storage and manifest, under a clock that the tests move."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.errors import HeldByAnother
from fleetgen.generation.checking import check
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.storage.ledger import BatchEntry, GapEntry
from support.simulation import Simulation, metas, records, simulated

DAY = 86_400


def differences(simulation: Simulation) -> list[str]:
    return [str(each) for each in check(simulation.dataset, None)]


def gaps(simulation: Simulation, stream: Stream) -> list[GapEntry]:
    return [entry for entry in simulation.dataset.ledgers[stream].entries() if isinstance(entry, GapEntry)]


def test_first_start_makes_the_last_full_driver_interval_and_its_companies_at_once(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(0)
        companies, events = simulation.metas(Stream.COMPANIES), simulation.metas(Stream.EVENTS)
    assert [meta["batch_id"] for meta in events] == ["20260105T115950Z"]
    assert [meta["batch_id"] for meta in companies] == ["20260105T115940Z"]
    assert companies[0]["record_count"] == 10
    assert 5 <= events[0]["record_count"] <= 20


def test_first_company_interval_of_production_runs_to_the_first_grid_point_after_the_start(tmp_path: Path) -> None:
    with simulated(tmp_path, preset="base") as simulation:
        simulation.run_for(2 * 3600)
        companies = simulation.metas(Stream.COMPANIES)
    assert [(meta["interval_start"][11:19], meta["interval_end"][11:19]) for meta in companies] == [
        ("10:45:00", "11:45:00"),
        ("11:45:00", "13:00:00"),
        ("13:00:00", "14:00:00"),
    ]


def test_a_day_of_base_has_hourly_companies_and_a_thousand_events_every_quarter_of_an_hour(tmp_path: Path) -> None:
    with simulated(tmp_path, preset="base") as simulation:
        simulation.run_for(DAY)
        companies, events = simulation.metas(Stream.COMPANIES), simulation.metas(Stream.EVENTS)
        assert len(companies) == 2 + 23
        assert all(meta["record_count"] >= 100 for meta in companies)
        assert len(events) == 1 + 96
        assert all(meta["record_count"] >= 1000 for meta in events)
        assert all(not outcome.late for outcome in simulation.outcomes[2:] if isinstance(outcome, Published))


def test_records_have_the_same_keys_order_and_types_in_both_modes(tmp_path: Path) -> None:
    def shape(preset: str, stream: Stream) -> set[tuple[tuple[str, type], ...]]:
        with simulated(tmp_path / preset, preset=preset) as simulation:
            simulation.run_for(10)
        found = records(tmp_path / preset / "data", stream)
        return {tuple((key, type(value)) for key, value in record.items()) for record in found}

    for stream in Stream:
        emulated, production = shape("emulated", stream), shape("base", stream)
        assert emulated == production
        assert len(emulated) == 1


def test_a_driver_alone_publishes_empty_batches(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.stop(Stream.COMPANIES)
        simulation.run_for(60)
        events = simulation.metas(Stream.EVENTS)
        folder = simulation.loaded.layout.stream(Stream.EVENTS)
        assert len(events) == 7
        assert {meta["record_count"] for meta in events} == {0}
        assert all((folder / meta["batch_id"] / "events.jsonl").read_bytes() == b"" for meta in events)
        assert differences(simulation) == []


def test_drivers_wait_ten_seconds_of_an_outage_for_the_companies_and_no_longer(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(60)
        simulation.stop(Stream.COMPANIES)
        made = [outcome for outcome in simulation.run_for(60) if isinstance(outcome, Published)]
    waits = [(outcome.started_at - outcome.scheduled_at) / SECOND for outcome in made]
    assert max(waits) == pytest.approx(10, abs=0.2)
    assert waits[-1] < 0.2


@pytest.mark.parametrize(
    ("fault", "reason", "detail"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk", "[Errno 28] No space left on device"),
        (OSError(errno.EMFILE, "Too many open files"), "fault", "[Errno 24] Too many open files"),
        (ValueError(), "fault", "ValueError"),
    ],
)
def test_a_gap_says_what_kept_a_running_process_from_making_batches(
    tmp_path: Path, fault: Exception, reason: str, detail: str
) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(30)
        simulation.makers[Stream.EVENTS].held_up_by(fault)
        simulation.clock.moment += 1000 * SECOND  # of failing again and again
        gaps = {each.entry.reason: each.entry.detail for each in simulation.run_for(0) if isinstance(each, LeftOut)}
        assert gaps == {"downtime": None, reason: detail}
        assert simulation.dataset.manifest().head(Stream.EVENTS).totals.missed == {reason: 90}
        # what is over is no reason any more
        simulation.clock.moment += 1000 * SECOND
        assert {each.entry.reason for each in simulation.run_for(0) if isinstance(each, LeftOut)} == {"downtime"}
        assert differences(simulation) == []


def test_companies_in_reach_are_those_whose_interval_ended_before_the_batch_began(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(120)
        companies, events = simulation.metas(Stream.COMPANIES), simulation.metas(Stream.EVENTS)
    for meta in events:
        ended = [each for each in companies if each["interval_end"] <= meta["interval_start"]]
        assert meta["company_count"] == sum(each["record_count"] for each in ended)
        assert meta["company_count"] > 0


def test_events_come_from_published_companies_and_a_driver_keeps_one_truck(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(600)
        data = simulation.loaded.layout.data
    known = {record["company_id"] for record in records(data, Stream.COMPANIES)}
    trucks: dict[str, set[str]] = {}
    for event in records(data, Stream.EVENTS):
        assert event["company_id"] in known
        trucks.setdefault(event["driver_id"], set()).add(event["truck_id"])
    assert len(trucks) > 100
    assert all(len(of_driver) == 1 for of_driver in trucks.values())
    assert len({truck for of_driver in trucks.values() for truck in of_driver}) == len(trucks)


def test_two_folders_with_one_seed_have_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with simulated(tmp_path / name) as simulation:
            simulation.run_for(120)
    for stream in Stream:
        assert metas(tmp_path / "one" / "data", stream) == metas(tmp_path / "two" / "data", stream)


def test_a_restart_goes_on_where_the_stream_stood(tmp_path: Path) -> None:
    with simulated(tmp_path / "restarted") as simulation:
        for _ in range(6):
            simulation.run_for(35)
            simulation.start()
    with simulated(tmp_path / "undisturbed") as simulation:
        simulation.run_for(6 * 35)
    for stream in Stream:
        undisturbed = metas(tmp_path / "undisturbed" / "data", stream)
        assert metas(tmp_path / "restarted" / "data", stream) == undisturbed


def test_an_outage_within_the_limit_is_caught_up_with_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    with simulated(tmp_path / "outage") as simulation:
        simulation.run_for(30)
        simulation.stop()
        simulation.run_for(90)
        simulation.start()
        late = [each for each in simulation.run_for(0) if isinstance(each, Published)]
        assert len(late) == 18
        assert all(each.late for each in late)
        assert simulation.dataset.manifest().head(Stream.EVENTS).totals.backfilled == 9
    with simulated(tmp_path / "undisturbed") as simulation:
        simulation.run_for(120)
    for stream in Stream:
        assert metas(tmp_path / "outage" / "data", stream) == metas(tmp_path / "undisturbed" / "data", stream)


def test_an_outage_beyond_the_limit_leaves_a_recorded_gap_and_makes_the_newest(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(30)
        simulation.stop()
        simulation.run_for(1000)
        simulation.start()
        made = simulation.run_for(0)
        for stream in Stream:
            (gap,) = gaps(simulation, stream)
            assert (gap.reason, gap.intervals) == ("downtime", 90)
            assert simulation.dataset.manifest().head(stream).totals.missed == {"downtime": 90}
        assert len([each for each in made if isinstance(each, Published)]) == 20
        assert len([each for each in made if isinstance(each, LeftOut)]) == 2
        simulation.run_for(100)
        assert differences(simulation) == []


@pytest.mark.parametrize("jump", [3600, -3600, DAY, -DAY])
@pytest.mark.parametrize(("preset", "span"), [("emulated-30s", 600), ("small", 7200)])
def test_a_step_of_the_clock_makes_no_batch_twice_or_out_of_order(
    tmp_path: Path, jump: int, preset: str, span: int
) -> None:
    with simulated(tmp_path, preset=preset) as simulation:
        simulation.run_for(span)
        simulation.clock.moment += jump * SECOND
        simulation.run_for(span)
        simulation.clock.moment -= jump * SECOND
        simulation.run_for(span)
        assert differences(simulation) == []
        for stream in Stream:
            starts = [meta["interval_start"] for meta in simulation.metas(stream)]
            assert starts == sorted(set(starts))


def test_no_batch_appears_while_paused_and_the_pause_is_a_recorded_gap(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(30)
        before = len(simulation.metas(Stream.EVENTS))
        set_paused(simulation, True)
        simulation.run_for(61)
        assert len(simulation.metas(Stream.EVENTS)) == before
        simulation.start()
        simulation.run_for(30)
        assert len(simulation.metas(Stream.EVENTS)) == before
        set_paused(simulation, False)
        made = simulation.run_for(20)
        assert len([each for each in made if isinstance(each, Published)]) == 4
        assert {gap.reason for stream in Stream for gap in gaps(simulation, stream)} == {"paused"}
        assert differences(simulation) == []


def test_a_pause_while_nobody_runs_is_told_from_downtime_afterwards(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(30)
        simulation.stop()
        simulation.run_for(20)
        set_paused(simulation, True)
        simulation.run_for(50)
        set_paused(simulation, False)
        simulation.run_for(20)
        simulation.start()
        made = simulation.run_for(0)
        (gap,) = gaps(simulation, Stream.EVENTS)
        assert (gap.reason, gap.intervals) == ("paused", 5)
        assert len([each for each in made if isinstance(each, Published)]) == 8
        assert differences(simulation) == []


def set_paused(simulation: Simulation, paused: bool) -> None:
    with simulation.dataset.store.locked() as transaction:
        now = simulation.clock.now()
        changes: dict[str, Any] = {"paused_at": now} if paused else {"resumed_at": now}
        desired = transaction.manifest.desired.updated(paused=paused, **changes)
        transaction.save(transaction.manifest.updated(desired=desired))


def test_a_changed_mode_at_a_restart_opens_a_segment(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(60)
        simulation.stop()
        simulation.edit(mode='"production"')
        simulation.start()
        simulation.run_for(3600)
        simulation.stop()
        simulation.edit(mode='"emulated"')
        simulation.start()
        simulation.run_for(60)
        modes = {entry.segment: entry.mode for entry in batches(simulation, Stream.EVENTS)}
        assert modes == {1: "emulated", 2: "production", 3: "emulated"}
        assert differences(simulation) == []
        first = next(meta for meta in simulation.metas(Stream.EVENTS) if meta["segment"] == 2)
        assert (first["interval_start"], first["interval_end"]) == (
            "2026-01-05T12:01:00.000000Z",
            "2026-01-05T12:15:00.000000Z",
        )


def test_a_restart_without_a_change_opens_no_segment(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(20)
        simulation.edit(catch_up_limit="5")
        simulation.start()
        assert len(simulation.dataset.manifest().segments) == 1


def test_an_outage_before_a_changed_mode_joins_the_first_interval_up_to_the_limit(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_until(instant("2026-01-05T12:01:00Z"))
        simulation.stop()
        simulation.edit(mode='"production"')
        simulation.run_until(instant("2026-01-05T13:20:00Z"))
        simulation.start()
        simulation.run_for(3600)
        (gap,) = gaps(simulation, Stream.EVENTS)
        assert (gap.start[11:19], gap.end[11:19], gap.reason) == ("12:01:00", "13:18:20", "downtime")
        first = next(meta for meta in simulation.metas(Stream.EVENTS) if meta["segment"] == 2)
        assert (first["interval_start"][11:19], first["interval_end"][11:19]) == ("13:18:20", "13:30:00")
        assert differences(simulation) == []


def test_trucks_keep_their_companys_seed_after_the_seed_is_changed(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(60)
        simulation.edit(seed="7")
        simulation.start()
        simulation.run_for(300)
        data = simulation.loaded.layout.data
        assert differences(simulation) == []
    by_company: dict[str, set[str]] = {}
    for event in records(data, Stream.EVENTS):
        by_company.setdefault(event["company_id"], set()).add(event["truck_id"].split("-")[1])
    assert all(len(seeds) == 1 for seeds in by_company.values())
    assert {seed for seeds in by_company.values() for seed in seeds} == {"42", "7"}


def test_an_absent_seed_is_drawn_once_and_kept(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.stop()
        lines = simulation.file.read_text().splitlines()
        simulation.file.write_text("\n".join(line for line in lines if not line.startswith("seed")) + "\n")
        simulation.start()
        simulation.run_for(30)
        simulation.start()
        simulation.run_for(30)
        seeds = {meta["base_seed"] for stream in Stream for meta in simulation.metas(stream)}
        assert seeds == {simulation.dataset.manifest().drawn_seed}
        assert differences(simulation) == []


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(0)
        second = Simulation.__new__(Simulation)
        second.__dict__ = {**simulation.__dict__, "makers": {}}
        with pytest.raises(HeldByAnother, match=f"process {os.getpid()}"):
            second.start(Stream.EVENTS)


def test_derived_files_follow_the_batches(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(60)
        layout = simulation.loaded.layout
        parts = sorted(layout.stream(Stream.COMPANIES).glob("*/companies.jsonl"))
        assert layout.all_companies.read_bytes() == b"".join(part.read_bytes() for part in parts)
        layout.all_companies.write_bytes(layout.all_companies.read_bytes()[:100])
        simulation.run_for(10)
        parts = sorted(layout.stream(Stream.COMPANIES).glob("*/companies.jsonl"))
        assert layout.all_companies.read_bytes() == b"".join(part.read_bytes() for part in parts)
        summary = layout.batch_manifest.read_text()
        assert simulation.metas(Stream.EVENTS)[-1]["batch_id"] in summary
        total = sum(meta["record_count"] for meta in simulation.metas(Stream.EVENTS))
        assert f'"total_events": {total}' in summary


def batches(simulation: Simulation, stream: Stream) -> list[BatchEntry]:
    return list(simulation.dataset.ledgers[stream].batches())


@pytest.mark.parametrize("stream", list(Stream))
def test_a_ledger_deleted_under_running_processes_is_completed_without_doubling(tmp_path: Path, stream: Stream) -> None:
    with simulated(tmp_path) as simulation:
        simulation.run_for(60)
        simulation.dataset.ledgers[stream].path.unlink()
        simulation.run_for(60)
        assert differences(simulation) == []
        numbers = [entry.batch_number for entry in batches(simulation, stream)]
        assert numbers == list(range(len(simulation.metas(stream))))
        assert all(meta["record_count"] >= 5 for meta in simulation.metas(Stream.EVENTS))
