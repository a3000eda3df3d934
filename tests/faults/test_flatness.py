"""A batch costs the same after many batches as after a few: in steps, in bytes read and written, in memory and in time.

Run as a program it makes the batches and prints what they cost: test_flatness.py FOLDER SECONDS
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from support.simulation import NOON, Simulation

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
BATCHES = 60_000 if SOAK else 3_000
STREAMS = 2
WARM_UP, WINDOW = 200, 100
"""In seconds, each with one batch of either stream. By then all companies that may be active are."""

MEMORY = Path("/dev/shm")
SETTINGS = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"'}
WATCHED = ("open", "os.", "shutil.", "fcntl.", "glob.", "pathlib.", "subprocess.", "tempfile.")

Costs = dict[str, float]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Costs, Costs]]:
    """What a window of batches costs, early and late, in a process of its own."""
    parent = MEMORY if MEMORY.is_dir() else tmp_path_factory.mktemp("flatness")
    with TemporaryDirectory(prefix="fg-", dir=parent) as folder:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, __file__, folder, str(BATCHES // STREAMS)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600, check=False)
        assert done.returncode == 0, done.stderr
        early, late = json.loads(done.stdout)
        yield early, late


pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_late_batches_take_as_many_steps_in_the_file_system(measured: tuple[Costs, Costs]) -> None:
    early, late = measured
    assert early["steps"] > WINDOW * STREAMS
    assert late["steps"] == early["steps"]


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count reads and writes")
def test_late_batches_read_and_write_as_often_and_as_much(measured: tuple[Costs, Costs]) -> None:
    early, late = measured
    for count in ("syscr", "syscw", "rchar", "wchar"):
        assert late[count] == pytest.approx(early[count], rel=0.03), count


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell of memory")
def test_memory_stays_as_it_is(measured: tuple[Costs, Costs]) -> None:
    early, late = measured
    assert late["resident_kib"] == pytest.approx(early["resident_kib"], rel=0.05)


def test_late_batches_take_no_longer(measured: tuple[Costs, Costs]) -> None:
    early, late = measured
    assert late["median_seconds"] <= 1.5 * early["median_seconds"]


def test_the_manifest_does_not_grow_by_more_than_digits(measured: tuple[Costs, Costs]) -> None:
    early, late = measured
    assert 0 <= late["manifest_bytes"] - early["manifest_bytes"] <= 32


def main() -> None:
    """Make so many seconds of both streams and print what an early and a late window of them cost."""
    seconds = int(sys.argv[2])
    simulation = Simulation(Path(sys.argv[1]), "emulated", NOON, **SETTINGS)
    steps = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        steps += event.startswith(WATCHED)

    sys.addaudithook(count)
    costs: list[Costs] = []
    for rest in (WARM_UP, seconds - WARM_UP - 2 * WINDOW):
        for _ in range(rest):
            pass_second(simulation)
        before = counters() | {"steps": steps}
        for _ in range(WINDOW):
            pass_second(simulation)
        after = counters() | {"steps": steps}
        costs.append({key: after[key] - before[key] for key in after} | standing(simulation))
    young = Simulation(Path(sys.argv[1]) / "young", "emulated", NOON, **SETTINGS)
    for _ in range(WARM_UP):
        pass_second(young)
    for cost, seconds_taken in zip(costs, in_turn(young, simulation), strict=True):
        cost["median_seconds"] = seconds_taken
    for each in (young, simulation):
        each.stop()
    print(json.dumps(costs))


def in_turn(*simulations: Simulation) -> list[float]:
    """Return the median time of a second's batches of each; they take turns, so that a busy machine slows all alike."""
    rounds = [[pass_second(each) for each in simulations] for _ in range(WINDOW)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def pass_second(simulation: Simulation) -> float:
    """Return the processor's time that a second's batches take: what waits for a disk that others use is counted apart."""
    began = time.process_time()
    made = simulation.run_for(1)
    simulation.outcomes.clear()
    assert len(made) >= STREAMS
    return time.process_time() - began


def counters() -> Costs:
    """Return how often and how much this process has read and written."""
    path = Path("/proc/self/io")
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


def standing(simulation: Simulation) -> Costs:
    """Return how large process and manifest are."""
    gc.collect()
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    resident = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    return {
        "resident_kib": sum(resident),
        "manifest_bytes": simulation.loaded.layout.manifest.stat().st_size,
    }


if __name__ == "__main__":
    main()
