"""Cleaning: everything of a dataset goes, nothing else does, and nobody writes meanwhile."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fleetgen.cadence.schedule import Make
from fleetgen.domain.records import Stream
from fleetgen.errors import CannotCreate, NotYet
from fleetgen.generation import lifecycle
from fleetgen.generation.checking import check
from fleetgen.generation.cleaning import Cleaned, PauseRequired, clean
from fleetgen.storage.layout import Layout
from fleetgen.storage.locks import FileLock
from support.configs import fleetgen, tree
from support.patience import wait_for
from support.simulation import NOON, Simulation, simulated

LOCKS: dict[str, Callable[[Layout], Path]] = {
    "companies": lambda layout: layout.writer_lock(Stream.COMPANIES),
    "events": lambda layout: layout.writer_lock(Stream.EVENTS),
    "tables": lambda layout: layout.tables_lock,
    "manifest": lambda layout: layout.manifest_lock,
}


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    """A dataset with all there can be in one: two segments, truth, tables, something staged, and logs beside it."""
    with simulated(tmp_path, preset="quality-demo") as each:
        each.run_for(45)
        each.edit(companies_per_batch="7")
        each.start()
        each.run_for(30)
        layout = each.loaded.layout
        for table in ("staged/companies", "staged/quarantine", "processed/driver_activity"):
            (layout.data / table / "_delta_log").mkdir(parents=True)
            (layout.data / table / "part-0.parquet").write_bytes(b"PAR1")
        layout.staged(Stream.EVENTS).mkdir(parents=True, exist_ok=True)
        (layout.staged(Stream.EVENTS) / "events.jsonl").write_text("{}\n")
        for part in layout.dataset_parts:
            if not part.exists():
                part.mkdir()
                (part / "left").write_text("over")
        layout.logs.mkdir(parents=True)
        (layout.logs / "driver.jsonl").write_text('{"event": "Starting driver generator in emulated mode"}\n')
        yield each


def pause(simulation: Simulation) -> None:
    lifecycle.pause(simulation.dataset, simulation.clock.now(), "to clean")


def resume(simulation: Simulation) -> lifecycle.Resumed:
    return lifecycle.resume(simulation.dataset, simulation.clock.now(), simulation.loaded.config)


def differences(simulation: Simulation) -> list[str]:
    return [str(each) for each in check(simulation.dataset, None)]


def shown(layout: Layout) -> set[str]:
    """Return what a clean names: the parts of a dataset that people see."""
    return {name for part in layout.dataset_parts if not (name := str(part.relative_to(layout.data))).startswith(".")}


def left(layout: Layout) -> dict[str, bytes | str]:
    """Return what a data directory holds, but for the locks."""
    return {name: content for name, content in tree(layout.data).items() if not name.endswith(".lock")}


def test_everything_of_the_dataset_goes_and_the_logs_stay(simulation: Simulation) -> None:
    layout = simulation.loaded.layout
    pause(simulation)
    assert all(part.exists() for part in layout.dataset_parts)

    cleaned = clean(layout)

    assert set(cleaned.items) == shown(layout)
    assert cleaned.left == []
    assert set(left(layout)) == {
        "manifests",
        "manifests/generator_state.json",
        "manifests/logs",
        "manifests/logs/driver.jsonl",
    }


def test_files_of_somebody_else_in_the_data_directory_stay(simulation: Simulation, tmp_path: Path) -> None:
    layout = simulation.loaded.layout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("kept")
    (layout.raw / "link").symlink_to(elsewhere)
    (layout.data / "notes.md").write_text("mine")
    pause(simulation)

    clean(layout)

    assert (layout.data / "notes.md").read_text() == "mine"
    assert (elsewhere / "precious").read_text() == "kept"
    assert not layout.raw.exists()


def test_the_dataset_gets_another_id_and_what_people_asked_for_outlives_it(simulation: Simulation) -> None:
    before = simulation.dataset.manifest()
    lifecycle.acknowledge(simulation.dataset, "outside", before.dataset_id, {Stream.EVENTS: 1}, NOON)
    pause(simulation)

    clean(simulation.loaded.layout)

    after = simulation.dataset.manifest()
    assert after.dataset_id != before.dataset_id
    assert (after.origin, after.segments, after.cleaning, after.consumers) == (None, (), None, {})
    assert (after.desired.paused, after.desired.pause_reason) == (True, "to clean")


def test_a_second_clean_finds_nothing_and_changes_nothing(simulation: Simulation) -> None:
    layout = simulation.loaded.layout
    pause(simulation)
    clean(layout)
    manifest = layout.manifest.read_bytes()
    assert clean(layout) == Cleaned([], [])
    assert layout.manifest.read_bytes() == manifest


def test_where_there_is_no_dataset_there_is_nothing_to_clean(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    assert clean(layout) == Cleaned([], [])
    assert set(left(layout)) <= {"manifests", "manifests/generator_state.json"}


@pytest.mark.parametrize("stream", Stream)
def test_nothing_is_deleted_while_a_stream_is_made_and_not_paused(simulation: Simulation, stream: Stream) -> None:
    simulation.stop(*(other for other in Stream if other is not stream))
    layout = simulation.loaded.layout
    before = left(layout)
    with pytest.raises(PauseRequired, match="fleetgen pause"):
        clean(layout)
    assert left(layout) == before
    assert differences(simulation) == []


def test_a_set_that_is_down_is_cleaned_without_a_pause(simulation: Simulation) -> None:
    simulation.stop()
    clean(simulation.loaded.layout)
    simulation.start()
    simulation.run_for(1)
    assert [meta["batch_number"] for stream in Stream for meta in simulation.metas(stream)] == [0, 0]
    assert differences(simulation) == []


@pytest.mark.parametrize("name", LOCKS)
def test_cleaning_waits_for_whoever_writes(simulation: Simulation, name: str) -> None:
    layout = simulation.loaded.layout
    pause(simulation)
    cleaned: list[Cleaned] = []
    thread = threading.Thread(target=lambda: cleaned.append(clean(layout)))

    with FileLock(LOCKS[name](layout)).held():
        before = left(layout)
        thread.start()
        time.sleep(0.3)
        assert cleaned == []
        assert left(layout) == before

    wait_for(lambda: cleaned, 5, "The clean after the writer's end")
    thread.join()
    assert set(cleaned[0].items) == shown(layout)


def test_a_generator_starts_while_somebody_tries_to_clean_without_a_pause(simulation: Simulation) -> None:
    layout, ended = simulation.loaded.layout, threading.Event()

    def try_to_clean() -> None:
        while not ended.is_set():
            with suppress(PauseRequired, NotYet):
                clean(layout, timeout_seconds=1)

    thread = threading.Thread(target=try_to_clean)
    thread.start()
    try:
        maker = simulation.makers[Stream.COMPANIES]
        until = time.monotonic() + 2
        while time.monotonic() < until:
            maker.release()
            time.sleep(0.001)
            maker.hold()
    finally:
        ended.set()
        thread.join()
    assert differences(simulation) == []


def test_a_writer_that_never_ends_keeps_everything_and_is_named(simulation: Simulation) -> None:
    layout = simulation.loaded.layout
    pause(simulation)
    lock = FileLock(layout.tables_lock)
    with lock.held():
        lock.sign()
        before = left(layout)
        with pytest.raises(NotYet, match=f"process {os.getpid()}"):
            clean(layout, timeout_seconds=0.2)
        assert left(layout) == before
    assert differences(simulation) == []


def test_a_batch_staged_before_the_clean_is_not_published_after_it(simulation: Simulation) -> None:
    maker = simulation.makers[Stream.EVENTS]
    simulation.clock.moment += 10_000_000
    decision, _ = maker.plan()
    assert isinstance(decision, Make)
    pause(simulation)
    clean(simulation.loaded.layout)
    resume(simulation)

    assert maker.perform(decision) is None
    assert simulation.metas(Stream.EVENTS) == []
    simulation.run_for(30)
    assert differences(simulation) == []


@pytest.mark.parametrize("preset", ["emulated-5s", "emulated", "base", "small"])
def test_resuming_makes_a_first_batch_of_each_stream_at_once_sized_by_the_mode(tmp_path: Path, preset: str) -> None:
    with simulated(tmp_path, preset=preset) as simulation:
        settings = simulation.loaded.config.settings(0)
        simulation.run_for(3 * settings.driver_interval_seconds)
        pause(simulation)
        clean(simulation.loaded.layout)

        resumed = resume(simulation)
        simulation.run_for(0.1)

        assert resumed.actions == (f"companies:{settings.companies_per_batch}", "driver_batch:1")
        (companies,), (events,) = (simulation.metas(stream) for stream in Stream)
        assert companies["record_count"] == settings.companies_per_batch
        assert companies["interval_end"] == events["interval_start"]
        if settings.events_per_batch:
            least, most = settings.events_per_batch
            assert least <= events["record_count"] <= most
        assert differences(simulation) == []


def test_resuming_is_remembered_with_a_count_and_pausing_alone_is_not(simulation: Simulation) -> None:
    assert simulation.dataset.manifest().reinitialised.count == 0
    for count in (1, 2):
        pause(simulation)
        clean(simulation.loaded.layout)
        at = simulation.clock.now()
        resume(simulation)
        simulation.run_for(25)
        pause(simulation)
        resume(simulation)
        noted = simulation.dataset.manifest().reinitialised
        assert (noted.count, noted.at) == (count, at)
        assert noted.actions == ("companies:7", "driver_batch:1")
        assert noted.missing_files == ("raw/companies.jsonl", "raw/events")


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        simulation.stop(Stream.EVENTS)
        simulation.run_for(0.1)
        pause(simulation)
        resumed = resume(simulation)
        assert (resumed.missing, resumed.actions) == ((Stream.EVENTS,), ("driver_batch:1",))
        simulation.start(Stream.EVENTS)
        simulation.run_for(0.1)
        assert [len(simulation.metas(stream)) for stream in Stream] == [1, 1]
        assert differences(simulation) == []


def test_a_new_dataset_has_the_same_seed_and_drawn_seeds_are_drawn_anew(tmp_path: Path) -> None:
    with simulated(tmp_path) as simulation:
        text = simulation.file.read_text()
        simulation.file.write_text("".join(line for line in text.splitlines(True) if not line.startswith("seed")))
        seeds: set[int] = set()
        for _ in range(3):
            simulation.run_for(15)
            seeds.add(simulation.metas(Stream.EVENTS)[0]["base_seed"])
            pause(simulation)
            clean(simulation.loaded.layout)
            resume(simulation)
        assert len(seeds) == 3


def test_on_the_command_line_cleaning_needs_a_yes_and_a_pause_and_no_control_process(simulation: Simulation) -> None:
    simulation.edit(enabled="false")
    layout, here = simulation.loaded.layout, simulation.file.parent
    call = ("clean", "--config", simulation.file)

    unsure = fleetgen(*call, cwd=here)
    assert (unsure.returncode, "--yes" in unsure.stderr) == (2, True)
    running = fleetgen(*call, "--yes", cwd=here)
    assert (running.returncode == 0, "fleetgen pause" in running.stderr) == (False, True)
    assert layout.raw.exists()

    assert fleetgen("pause", "--config", simulation.file, cwd=here).returncode == 0
    assert fleetgen(*call, "--yes", cwd=here).returncode == 0
    assert fleetgen(*call, "--yes", cwd=here).returncode == 0
    assert (layout.logs / "driver.jsonl").stat().st_size
    assert fleetgen(*call, "--yes", "--logs", cwd=here).returncode == 0
    assert not any(layout.logs.glob("*"))
    resumed = fleetgen("resume", "--config", simulation.file, cwd=here)
    assert (resumed.returncode, "companies:7" in resumed.stdout) == (0, True)
    assert json.loads(layout.manifest.read_text())["desired"]["paused"] is False


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems, which only root may")
@pytest.mark.parametrize("flags", ["rw", "ro"])
def test_a_part_that_is_a_mount_of_its_own_is_emptied_or_refused_before_anything_changes(
    simulation: Simulation, flags: str
) -> None:
    """A folder that is mounted onto itself cannot be renamed; one that is read-only cannot be emptied either."""
    raw = simulation.loaded.layout.raw
    subprocess.run(["mount", "--bind", raw, raw], check=True)
    subprocess.run(["mount", "-o", f"remount,bind,{flags}", raw], check=True)
    try:
        pause(simulation)
        before = simulation.dataset.manifest()
        if flags == "ro":
            with pytest.raises(CannotCreate, match="Nothing was deleted"):
                clean(simulation.loaded.layout)
            assert simulation.dataset.manifest() == before
            assert differences(simulation) == []
        else:
            assert "raw" in clean(simulation.loaded.layout).items
            assert not any(raw.iterdir())
            assert clean(simulation.loaded.layout).items == []
    finally:
        subprocess.run(["umount", raw], check=True)
