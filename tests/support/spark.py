"""Spark for tests: whether it can run here, a cluster of its own, and which of its processes live."""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetgen.errors import FleetgenError
from fleetgen.generation.spark.surroundings import check_java, check_pyspark
from support.sets import free_ports

PROJECT = Path(__file__).parents[2]


def lacking() -> str:
    """Return in plain words what Spark lacks here; "" where it can run."""
    try:
        check_java()
        check_pyspark()
    except FleetgenError as fault:
        return str(fault)
    return ""


QUICK = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}
"""A JVM that lives for a minute is the quicker the less it optimises."""

needs_spark = pytest.mark.skipif(bool(lacking()), reason=lacking())


def submit_arguments(master: str, conf: Mapping[str, str] = QUICK) -> str:
    """Return the options with which a program of other people gets a small Spark, as a line of a shell."""
    return shlex.join(
        ["--master", master, *(word for key, value in conf.items() for word in ("--conf", f"{key}={value}"))]
    )


def cluster(action: str, run: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Call what `make spark-up` and `make spark-down` call."""
    command = [sys.executable, str(PROJECT / "packaging" / "spark"), action, "--run", str(run), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@contextmanager
def running_cluster(run: Path) -> Iterator[str]:
    """A master and two workers; yields the master's URL."""
    master, page = free_ports(2)
    done = cluster("up", run, "--port", str(master), "--ui-port", str(page))
    try:
        assert done.returncode == 0, done.stderr
        yield done.stdout.strip()
    finally:
        cluster("down", run)


def processes(*words: str) -> dict[int, str]:
    """Return the living processes whose command line has all these words."""
    done = subprocess.run(["ps", "-e", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    return {
        int(pid): command
        for pid, state, command in (row for row in rows if len(row) == 3)
        if not state.startswith("Z") and all(word in command for word in words)
    }


def children(parents: Iterable[int], word: str) -> list[int]:
    """Return the living processes that these have started and whose command line has a word."""
    of, among = _parents(), set(parents)
    return sorted({pid for pid, parent in of.items() if parent in among} & processes(word).keys())


def started_by(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs, as they were at one moment."""
    of, found = _parents(), [pid]
    for each in found:
        found += [child for child, parent in of.items() if parent == each]
    return found[1:]


def _parents() -> dict[int, int]:
    done = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    return {int(pid): int(parent) for pid, parent in map(str.split, done.stdout.splitlines())}


def is_alive(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
