"""History at full speed has the bytes of having run live: with any number of jobs, killed or not, and further on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import SECOND, Stream, instant, iso
from fleetgen.generation.checking import check
from fleetgen.generation.expecting import file_hash
from support.configs import fleetgen
from support.patience import wait_for
from support.simulation import NOON, Simulation, simulated

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
KILLS = 25 if SOAK else 3
MEMORY = Path("/dev/shm")
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND

Hashes = list[tuple[str, str, str]]
"""Of each batch: its stream, its id, and either the hash of a data file or the meta without the clock's keys."""


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder in memory, where the system has that: syncing to a disk takes most of a small batch's time."""
    with TemporaryDirectory(prefix="fg-", dir=MEMORY if MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the test's own."""
    with a_folder() as made:
        yield made


def hashes(simulation: Simulation) -> Hashes:
    found: Hashes = []
    for stream in Stream:
        for meta in simulation.metas(stream):
            found.append((stream, meta["batch_id"], str(meta)))
            batch = simulation.loaded.layout.batch(stream, meta["batch_id"])
            found += [(stream, meta["batch_id"], file_hash(path)) for path in sorted(batch.glob("*.jsonl"))]
    return found


def differences(simulation: Simulation) -> list[str]:
    return [str(each) for each in check(simulation.dataset, None)]


def stopped(folder: Path, preset: str = "emulated", **changes: str) -> Simulation:
    """A configured folder in which nothing runs and nothing has been made."""
    simulation = Simulation(folder, preset, NOON, **changes)
    simulation.stop()
    shutil.rmtree(simulation.loaded.layout.data)
    return simulation


@cache
def lived(until: int, preset: str = "emulated", **changes: str) -> Hashes:
    """What a set makes that is started at NOON and runs up to an instant."""
    with a_folder() as folder, simulated(folder, preset=preset, **changes) as simulation:
        simulation.run_until(until)
        return hashes(simulation)


def backfill(simulation: Simulation, *arguments: str, status: int = 0) -> str:
    """Call the command and return what it says; a refusal says it on standard error."""
    done = fleetgen("backfill", *arguments, "--config", simulation.file, cwd=simulation.file.parent)
    assert done.returncode == status, done.stdout + done.stderr
    assert (done.stdout if status else done.stderr) == ""
    return done.stderr if status else done.stdout


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("preset", "length"), [("emulated", 4 * MINUTE), ("small", 2 * DAY)])
def test_backfill_has_the_bytes_of_a_live_run(folder: Path, preset: str, length: int, jobs: str) -> None:
    expected = lived(NOON + length, preset)
    simulation = stopped(folder / "filled", preset)
    backfill(simulation, "--from", iso(NOON), "--until", iso(NOON + length), "--jobs", jobs)
    assert hashes(simulation) == expected
    assert differences(simulation) == []


@pytest.mark.parametrize(
    ("company_interval", "driver_interval"),
    [("PT7S", "PT10S"), ("PT10S", "PT7S"), ("PT10S", "PT45S"), ("PT5S", "PT5S")],
)
def test_a_backfill_in_pieces_has_the_bytes_of_one(folder: Path, company_interval: str, driver_interval: str) -> None:
    settings = {"company_interval": f'"{company_interval}"', "driver_interval": f'"{driver_interval}"'}
    expected = lived(NOON + 5 * MINUTE, **settings)
    simulation = stopped(folder / "filled", **settings)
    for seconds in (20, 42, 81, 100, 185, 222, 300):
        backfill(simulation, "--from", iso(NOON), "--until", iso(NOON + seconds * SECOND))
    assert hashes(simulation) == expected
    assert differences(simulation) == []


@pytest.mark.soak
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_backfill_goes_on_and_has_the_same_bytes(folder: Path, jobs: str) -> None:
    until = NOON + (10 if SOAK else 2) * HOUR
    expected = lived(until)
    simulation = stopped(folder / "filled")
    arguments = ["--from", iso(NOON), "--until", iso(until), "--jobs", jobs]
    for moment in Address(11, Origin.EVENTS, int(jobs), Purpose.EVENT_COUNT).draws(KILLS)[0].tolist():
        before = batches(simulation)
        command = started(simulation, *arguments)
        wait_for_more(simulation, before)
        time.sleep(moment / 2**32 * 0.06)
        os.killpg(command.pid, signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        wait_for_end(command.pid)
    done = started(simulation, *arguments)
    assert done.wait(600) == 0
    assert hashes(simulation) == expected
    assert differences(simulation) == []
    layout = simulation.loaded.layout
    assert list(layout.staging.iterdir()) == []
    companies = sorted(layout.stream(Stream.COMPANIES).glob("*/companies.jsonl"))
    assert layout.all_companies.read_bytes() == b"".join(each.read_bytes() for each in companies)


@pytest.mark.soak
def test_no_worker_outlives_a_killed_command(folder: Path) -> None:
    simulation = stopped(folder)
    for moment in Address(12, Origin.EVENTS, 0, Purpose.EVENT_COUNT).draws(KILLS)[0].tolist():
        command = started(simulation, "--from", iso(NOON), "--until", iso(NOON + 30 * DAY), "--jobs", "2")
        wait_for_workers(command.pid)
        time.sleep(moment / 2**32 * 0.8)
        command.kill()
        command.wait()
        wait_for_end(command.pid)


def wait_for_more(simulation: Simulation, batches_before: int) -> None:
    wait_for(lambda: batches(simulation) > batches_before, 20, "The first batch")


def wait_for_workers(session: int) -> None:
    wait_for(lambda: len(members(session)) >= 3, 10, "The start of the workers")


def wait_for_end(session: int) -> None:
    wait_for(lambda: not members(session), 10, "The end of the workers")


def batches(simulation: Simulation) -> int:
    """Return how many batches of events are visible."""
    folder = simulation.loaded.layout.stream(Stream.EVENTS)
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def started(simulation: Simulation, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own."""
    command = [sys.executable, "-m", "fleetgen", "backfill", *arguments, "--config", str(simulation.file)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def members(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, owner = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(owner) == session and state != "Z":
                found.append(int(entry.name))
    return found


def test_so_many_batches_are_so_many_driver_intervals_and_the_companies_they_need(folder: Path) -> None:
    simulation = stopped(folder, "small")
    backfill(simulation, "--from", iso(NOON), "--batches", "9")
    events, companies = simulation.metas(Stream.EVENTS), simulation.metas(Stream.COMPANIES)
    assert len(events) == 9
    assert all(meta["company_count"] > 0 for meta in events)
    assert companies[-1]["interval_end"] <= events[-1]["interval_end"] < iso(NOON + 3 * HOUR)

    backfill(simulation, "--from", iso(NOON), "--batches", "9")
    assert len(simulation.metas(Stream.EVENTS)) == 9

    backfill(simulation, "--batches", "4")
    assert len(simulation.metas(Stream.EVENTS)) == 13
    assert differences(simulation) == []


def test_so_many_batches_without_a_start_end_now(folder: Path) -> None:
    simulation = stopped(folder)
    before = time.time_ns() // 1000
    backfill(simulation, "--batches", "5")
    events = simulation.metas(Stream.EVENTS)
    assert len(events) == 5
    assert before - 20 * SECOND < instant(events[-1]["interval_end"]) <= time.time_ns() // 1000


@pytest.mark.parametrize("changed", [{"companies_per_batch": "3"}, {"seed": "7"}, {"driver_interval": '"PT5S"'}])
def test_an_edit_between_backfills_opens_a_segment_as_it_does_live(folder: Path, changed: dict[str, str]) -> None:
    edited, until = instant("2026-01-05T12:02:00Z"), instant("2026-01-05T12:05:00Z")
    with simulated(folder / "live") as live:
        live.run_until(edited)
        live.edit(**changed)
        live.start()
        live.run_until(until)
        expected = hashes(live)
    simulation = stopped(folder / "filled")
    backfill(simulation, "--from", iso(NOON), "--until", iso(edited))
    simulation.edit(**changed)
    backfill(simulation, "--until", iso(until))
    assert hashes(simulation) == expected
    assert {meta["segment"] for meta in simulation.metas(Stream.EVENTS)} == {1, 2}
    assert differences(simulation) == []


def test_a_set_goes_on_from_a_backfill_without_a_seam(folder: Path) -> None:
    turn, until = NOON + 3 * MINUTE, NOON + 6 * MINUTE
    expected = lived(until)
    backfill(stopped(folder / "filled"), "--from", iso(NOON), "--until", iso(turn))
    with simulated(folder / "filled", start=turn) as simulation:
        simulation.run_until(until)
        assert hashes(simulation) == expected
        assert differences(simulation) == []
        missed = [simulation.dataset.manifest().head(stream).totals.missed for stream in Stream]
        assert missed == [{}, {}]
    backfill(simulation, "--until", iso(until + MINUTE))
    assert hashes(simulation) == lived(until + MINUTE)


def test_a_backfill_says_one_line_in_a_pipe(folder: Path) -> None:
    said = backfill(stopped(folder), "--from", iso(NOON), "--until", iso(NOON + MINUTE), "--jobs", "2")
    assert said.count("\n") == 1
    assert "14 batches made" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", iso(NOON), "--until", "2999-01-01T00:00:00Z"], "future"),
        (["--from", "2999-01-01T00:00:00Z"], "future"),
        (["--from", "2999-01-01T00:00:00Z", "--until", iso(NOON)], "future"),
        (["--from", iso(NOON), "--batches", "100000000"], "future"),
        (["--from", iso(NOON), "--until", iso(NOON), "--batches", "3"], "--until and --batches"),
        (["--from", "2026-01-05T12:00:00"], "--from '2026-01-05T12:00:00' is no time with a zone"),
        (
            ["--from", "0999-01-05T12:00:00Z"],
            "--from '0999-01-05T12:00:00Z' is too early: batches can begin in the years",
        ),
        (["--from", iso(NOON), "--until", "noon"], "--until 'noon' is no time with a zone"),
        (["--until", iso(NOON)], "--from"),
    ],
)
def test_a_refused_backfill_leaves_the_dataset_empty(folder: Path, arguments: list[str], told: str) -> None:
    simulation = stopped(folder)
    said = backfill(simulation, *arguments, status=2)
    assert told in said
    manifest = simulation.dataset.read()
    assert manifest is None or manifest.origin is None
    backfill(simulation, "--from", iso(NOON + HOUR), "--until", iso(NOON + HOUR + MINUTE))


def test_a_refused_backfill_opens_no_segment(folder: Path) -> None:
    with simulated(folder) as simulation:
        simulation.run_for(30)
    simulation.edit(seed="7")
    assert "future" in backfill(simulation, "--until", "2999-01-01T00:00:00Z", status=2)
    assert len(simulation.dataset.manifest().segments) == 1


def test_another_start_than_the_datasets_own_is_refused(folder: Path) -> None:
    with simulated(folder) as simulation:
        simulation.run_for(30)
    assert iso(NOON) in backfill(simulation, "--from", iso(NOON + SECOND), "--until", iso(NOON + HOUR), status=2)


def test_a_paused_dataset_is_refused(folder: Path) -> None:
    with simulated(folder) as simulation:
        simulation.run_for(30)
        before = hashes(simulation)
    fleetgen("pause", "--config", simulation.file, cwd=folder)
    assert "fleetgen resume" in backfill(simulation, "--until", iso(NOON + MINUTE), status=2)
    assert hashes(simulation) == before


@pytest.mark.parametrize("stream", Stream)
def test_a_stream_that_is_being_made_is_refused_naming_its_process(folder: Path, stream: Stream) -> None:
    with simulated(folder) as simulation:
        simulation.run_for(30)
        before = hashes(simulation)
        simulation.start(stream)
        assert f"process {os.getpid()}" in backfill(simulation, "--until", iso(NOON + MINUTE), status=75)
        assert hashes(simulation) == before


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="the long form alone")
def test_a_week_of_base_takes_minutes(folder: Path) -> None:
    simulation = stopped(folder, "base")
    began = time.monotonic()
    command = started(simulation, "--from", iso(NOON), "--until", iso(NOON + 7 * DAY), "--jobs", "2")
    assert command.wait(1800) == 0
    assert time.monotonic() - began < 600
    assert len(simulation.metas(Stream.EVENTS)) == 1 + 7 * 96
    assert differences(simulation) == []
