"""History made by executors of Spark has the bytes of every other way: whoever dies, and however it is divided."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.generation.expecting import file_hash
from support.patience import wait_for
from support.sets import free_ports
from support.simulation import NOON, Simulation, simulated
from support.spark import children, cluster, needs_spark, processes, running_cluster

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
HOUR = 3600 * SECOND
PRESET, LENGTH = ("base", 46 * HOUR) if SOAK else ("quality-demo", HOUR)
"""The long form has more than 5 million events."""
LIVED = 3 * HOUR if SOAK else HOUR
MANY = 48 * HOUR if SOAK else 3 * HOUR
"""Of small batches, so that there is time to kill somebody."""

pytestmark = [pytest.mark.soak, needs_spark, pytest.mark.timeout(3600 if SOAK else 600)]

Sums = list[tuple[str, str]]
"""The path below the data directory and the SHA-256 of each file that says or is what was made."""


def stopped(folder: Path, preset: str = PRESET) -> Simulation:
    """A configured folder in which nothing runs and nothing has been made."""
    simulation = Simulation(folder, preset, NOON)
    simulation.stop()
    shutil.rmtree(simulation.loaded.layout.data)
    return simulation


def sums(data: Path, pattern: str = "*") -> Sums:
    folders = [data / "raw", data / "truth", data / "manifests" / "ledger"]
    files = [path for folder in folders for path in sorted(folder.rglob(pattern)) if path.is_file()]
    return [(str(path.relative_to(data)), file_hash(path)) for path in files]


def command(simulation: Simulation, length: int, *arguments: str) -> list[str]:
    span = ["--from", iso(NOON), "--until", iso(NOON + length)]
    return [sys.executable, "-m", "fleetgen", "backfill", *span, "--config", str(simulation.file), *arguments]


def filled(folder: Path, length: int, *arguments: str, preset: str = PRESET) -> Sums:
    """The files of a whole backfill, which are removed."""
    simulation = stopped(folder, preset)
    done = subprocess.run(
        command(simulation, length, *arguments), capture_output=True, text=True, timeout=3000, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(simulation.loaded.layout.staging.iterdir()) == []
    found = sums(simulation.loaded.layout.data)
    shutil.rmtree(folder)
    return found


def killed_and_filled(folder: Path, length: int, *arguments: str) -> Sums:
    """The files of a backfill that was killed after its first batches, and called again; they are removed."""
    simulation = stopped(folder)
    killed = subprocess.Popen(command(simulation, length, *arguments), stderr=subprocess.DEVNULL)
    wait_for(lambda: batches(simulation) > 0, 180, "The first batch")
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert batches(simulation) < length // (HOUR // 4)
    done = subprocess.run(command(simulation, length, *arguments), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = sums(simulation.loaded.layout.data)
    shutil.rmtree(folder)
    return found


@contextmanager
def two_executors(run: Path) -> Iterator[str]:
    """The master of a cluster of two workers; in the short form that of two threads, which starts sooner."""
    if not SOAK:
        yield "local[2]"
        return
    with running_cluster(run) as master:
        yield master


def on_spark(master: str, *arguments: str) -> list[str]:
    return ["--engine", "spark", "--master", master, *arguments]


def batches(simulation: Simulation) -> int:
    """Return how many batches of events are visible."""
    folder = simulation.loaded.layout.stream(Stream.EVENTS)
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def test_every_way_gives_one_list_of_hashes(tmp_path: Path) -> None:
    expected = filled(tmp_path / "one", LENGTH)
    print(f"{len(expected)} files")
    assert filled(tmp_path / "two", LENGTH, "--jobs", "2") == expected
    with two_executors(tmp_path / "run") as master:
        for partitions in ("3", "16"):
            assert filled(tmp_path / partitions, LENGTH, *on_spark(master, "--partitions", partitions)) == expected
        if SOAK:
            assert killed_and_filled(tmp_path / "killed", LENGTH, *on_spark(master, "--partitions", "3")) == expected
    with simulated(tmp_path / "live", preset=PRESET) as live:
        live.run_until(NOON + LIVED)
        lived = sums(live.loaded.layout.data, "events*.jsonl")
    of_batches = [each for each in lived if each[0].startswith("raw/")]
    assert len(of_batches) > 10
    assert set(of_batches) <= set(expected)


def test_a_killed_backfill_leaves_no_jvm_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    expected = filled(tmp_path / "one", MANY, preset="emulated")
    simulation = stopped(tmp_path / "killed", "emulated")
    wanted = command(simulation, MANY, *on_spark("local[2]"))
    for _ in range(5 if SOAK else 1):
        before = batches(simulation)
        killed = subprocess.Popen(wanted, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda before=before: batches(simulation) > before, 90, "The first batch")  # type: ignore[misc]
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
        wait_for(lambda: not processes("fleetgen backfill"), 10, "The end of its JVM")
    assert 0 < batches(simulation) < MANY // (10 * SECOND)
    done = subprocess.run(wanted, capture_output=True, text=True, timeout=3000, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sums(simulation.loaded.layout.data) == expected
    assert list(simulation.loaded.layout.staging.iterdir()) == []


def test_an_executor_and_a_worker_of_a_cluster_may_be_killed_and_the_cluster_leaves_no_jvm(tmp_path: Path) -> None:
    expected = filled(tmp_path / "one", MANY, preset="emulated")
    run = tmp_path / "run"
    with running_cluster(run) as master:
        assert cluster("up", run).returncode == 75
        daemons = processes("org.apache.spark.deploy", master.rpartition(":")[2])
        assert len(daemons) == 3
        simulation = stopped(tmp_path / "spark", "emulated")
        started = subprocess.Popen(
            command(simulation, MANY, *on_spark(master, "--partitions", "16")), stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: batches(simulation) > 0, 120, "The first batch")
        os.kill(children(daemons, "CoarseGrainedExecutorBackend")[0], signal.SIGKILL)
        before = batches(simulation)
        wait_for(lambda: batches(simulation) > before, 120, "Another round")
        os.kill(max(processes("org.apache.spark.deploy.worker", str(run))), signal.SIGKILL)
        assert batches(simulation) < MANY // (10 * SECOND)
        assert (started.communicate(timeout=3000)[1], started.returncode) == ("", 0)
        assert sums(simulation.loaded.layout.data) == expected
        assert "down" in cluster("down", run).stdout
        assert not processes(str(run))
        assert not processes("org.apache.spark.deploy", master.rpartition(":")[2])
        assert list(run.glob("*.pid")) == []
    assert cluster("down", run).stdout == "No cluster is running.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--engine", "spark"], 2, "--master"),
        (["--engine", "spark", "--master", "here"], 2, "spark://HOST:7077"),
        (["--engine", "spark", "--master", "spark://here"], 2, "spark://HOST:7077"),
        (["--engine", "spark", "--master", "local", "--jobs", "2"], 2, "--jobs"),
        (["--engine", "spark", "--master", "local", "--conf", "memory=1"], 2, "--conf"),
        (["--master", "local"], 2, "--engine spark"),
        (["--engine", "spark", "--master", f"spark://127.0.0.1:{free_ports(1)[0]}"], 69, "make spark-up"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_begins_nothing(
    tmp_path: Path, arguments: list[str], status: int, told: str
) -> None:
    simulation = stopped(tmp_path)
    done = subprocess.run(command(simulation, HOUR, *arguments), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert told in done.stderr
    assert not simulation.loaded.layout.data.exists()


def test_workers_without_the_packages_are_told_of(tmp_path: Path) -> None:
    simulation = stopped(tmp_path)
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    environment = os.environ | {"PYSPARK_PYTHON": str(bare / "bin" / "python")}
    wanted = command(simulation, HOUR, *on_spark("local[1]"))
    done = subprocess.run(wanted, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "PYSPARK_PYTHON" in done.stderr
