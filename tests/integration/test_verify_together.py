"""`verify --all` by several processes finds what one finds, in the same order, and ends with Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.generation import dividing, repairing
from fleetgen.generation.checking import check
from fleetgen.generation.dividing import check_by_processes
from fleetgen.generation.staging import stage
from fleetgen.storage.ledger import Ledger
from support.configs import fleetgen
from support.patience import wait_for
from support.simulation import NOON, Simulation

HOUR = 3600 * SECOND
MEMORY = Path("/dev/shm")


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Simulation]:
    """Two hours of batches, some of which are damaged, in memory where the system has that."""
    with TemporaryDirectory(prefix="fg-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as name:
        simulation = Simulation(Path(name), "emulated", NOON)
        simulation.stop()
        shutil.rmtree(simulation.loaded.layout.data)
        arguments = ("--from", iso(NOON), "--until", iso(NOON + 2 * HOUR), "--config", simulation.file)
        assert fleetgen("backfill", *arguments, cwd=simulation.file.parent).returncode == 0
        damage(simulation)
        yield simulation


def damage(simulation: Simulation) -> None:
    """Delete, change and add files of batches all over the time."""
    layout = simulation.loaded.layout
    for stream in Stream:
        folders = sorted(layout.stream(stream).iterdir())
        shutil.rmtree(folders[3])
        shutil.rmtree(folders[-1])
        (folders[300] / f"{stream}.jsonl").write_bytes(b"{}\n")
        (folders[500] / "batch_meta.json").write_text("{")


def test_a_batch_is_made_again_once_for_all_of_its_differences(
    filled: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a batch with two differences, and a ledger that is never read whole
    found = list(check(filled.dataset, None))
    found += [replace(each, text="differs in another way, too") for each in found[:3]]
    staged: list[Path] = []

    def counted(folder: Path, *given: Any, **more: Any) -> Any:
        staged.append(folder)
        return stage(folder, *given, **more)

    monkeypatch.setattr("fleetgen.generation.repairing.stage", counted)
    monkeypatch.setattr(Ledger, "batches", lambda ledger: pytest.fail("the whole ledger is read"))
    # when all are repaired
    told: list[int] = []
    repaired = repairing.repair_all(filled.dataset, filled.dataset.manifest(), found, told.append)
    assert repaired == [True] * 11
    assert len(staged) == 8
    assert told == list(range(1, 12))
    monkeypatch.undo()
    assert list(check(filled.dataset, None)) == []


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_processes_finds_the_same_in_the_same_order(filled: Simulation, jobs: int) -> None:
    told: list[int] = []
    found = list(check_by_processes(filled.dataset, jobs, noop, told.append))

    assert found == list(check(filled.dataset, None))
    assert len(found) == 8
    assert told == sorted(told)
    assert told[-1] == sum(filled.dataset.manifest().head(stream).next_batch for stream in Stream)


def noop() -> None:
    """Do nothing at a worker's start."""


def test_the_command_says_the_same_with_any_jobs_and_repairs(filled: Simulation) -> None:
    said = [verified(filled, "--json", "--jobs", jobs) for jobs in ("1", "2")]
    assert said[0] == said[1]
    assert len(json.loads(said[0][1])["differences"]) == 8
    assert verified(filled, "--repair", "--jobs", "2")[0] == 0
    assert verified(filled)[0] == 0


def verified(simulation: Simulation, *arguments: str) -> tuple[int, str]:
    done = fleetgen("verify", "--all", *arguments, "--config", simulation.file, cwd=simulation.file.parent)
    return done.returncode, done.stdout


def test_ctrl_c_ends_it_and_all_its_processes(filled: Simulation) -> None:
    command = [sys.executable, "-m", "fleetgen", "verify", "--all", "--jobs", "2", "--config", str(filled.file)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(lambda: len(members(running.pid)) >= 4, 20, "the start of its workers")
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=10)
    assert running.returncode != 0
    wait_for(lambda: not members(running.pid), 5, "the end of all its processes")


def members(group: int) -> list[int]:
    """Return the processes of a group."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if int(line.split()[1]) == group]


@pytest.mark.parametrize("torn", [b"", b'{"kind":"ba'])
def test_ranges_of_a_ledger_are_all_its_whole_lines(filled: Simulation, torn: bytes) -> None:
    ledger: Ledger = filled.dataset.ledgers[Stream.EVENTS]
    with ledger.path.open("ab") as file:
        file.write(torn)
    for size in (1, 500, 4096, dividing.RANGE_BYTES, 1 << 30):
        ranges = list(ledger.ranges(size))
        assert [entry for start, end in ranges for entry in ledger.entries_between(start, end)] == list(
            ledger.entries()
        )
        assert len(ranges) > 1 or size > 4096
