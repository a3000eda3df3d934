"""Measures what the running set costs: memory and processor time of each process, supervisord's among them."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import print_goal, print_head, print_table

from support.sets import free_ports

START_SECONDS = 30
WARM_UP_SECONDS = 3
STOP_SECONDS = 30
PROCESSES = ("supervisord", "company", "driver", "pipeline", "control")
GOAL_MEGABYTES = 50
GOAL_PIPELINE_MEGABYTES = 180
GOAL_PIPELINE_SHARE = 6


def make_set(folder: Path) -> Path:
    """Make a place for a set with a batch every second and return its configuration."""
    subprocess.run([sys.executable, "-m", "fleetgen", "init", str(folder)], check=True, stdout=subprocess.DEVNULL)
    file = folder / "etc" / "generator.toml"
    text = re.sub(r'(?m)^(\w+_interval *= *)"PT10S"', r'\1"PT1S"', file.read_text())
    keys = ("company_port", "driver_port", "pipeline_port", "port")
    for key, port in zip(keys, free_ports(len(keys)), strict=True):
        text = re.sub(rf"(?m)^{key} *=.*$", f"{key} = {port}", text)
    file.write_text(text)
    return file


@contextmanager
def running(config: Path) -> Iterator[dict[str, int]]:
    """Run the set for a block; yields each process's pid."""
    command = [sys.executable, "-m", "fleetgen", "up", "--config", str(config)]
    supervisor = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    pids = {"supervisord": supervisor.pid}
    try:
        deadline = time.monotonic() + START_SECONDS
        while len(pids) < len(PROCESSES):
            if supervisor.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"only {', '.join(pids)} started")
            time.sleep(0.1)
            pids |= children(supervisor.pid)
        yield pids
    finally:
        supervisor.send_signal(signal.SIGINT)
        supervisor.wait(STOP_SECONDS)
    left = [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()]
    if left:
        raise RuntimeError(f"still running after the stop: {', '.join(left)}")


def children(parent: int) -> dict[str, int]:
    """Return the processes that supervisord has started."""
    found: dict[str, int] = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if "run" in words:
            found[words[words.index("run") + 1]] = int(pid)
    return found


def memory_megabytes(pid: int, kind: str = "VmRSS") -> float:
    """Return a process's resident memory in MiB: now, or at its peak (``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = re.search(rf"(?m)^{kind}:\s+(\d+) kB$", status)
    if kilobytes is None:
        raise RuntimeError(f"process {pid} has ended")
    return int(kilobytes[1]) / 1024


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(config: Path, seconds: float) -> dict[str, tuple[float, float, float]]:
    """Return each process's memory, peak memory, and processor time in percent of a core."""
    with running(config) as pids:
        time.sleep(WARM_UP_SECONDS)
        before = {name: processor_seconds(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        return {
            name: (
                memory_megabytes(pid),
                memory_megabytes(pid, "VmHWM"),
                (processor_seconds(pid) - before[name]) / seconds * 100,
            )
            for name, pid in pids.items()
        }


def imports_megabytes(module: str) -> float:
    """Return what a process takes that does nothing but import what a process of the set runs."""
    code = f"import {module}; print(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    return int(subprocess.check_output([sys.executable, "-c", code], text=True)) / 1024


def main() -> None:
    """Run the set for a while and look at its processes."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=20, help="how long to look")
    arguments.add_argument("--quick", action="store_true", help="five seconds")
    options = arguments.parse_args()
    seconds = 5 if options.quick else options.seconds
    print_head(f"The running set: a batch of each stream every second, for {seconds:g} s")
    if not Path("/proc/self/status").exists():
        print("This system tells nothing of processes in /proc: not measured.")
        return
    folder = Path(tempfile.mkdtemp(prefix="fleetgen-", dir="/tmp"))
    try:
        measured = measure(make_set(folder), seconds)
    finally:
        shutil.rmtree(folder)
    rows = [[name, *(f"{value:.1f}" for value in measured[name])] for name in PROCESSES]
    total = [sum(column) for column in zip(*measured.values(), strict=True)]
    rows.append(["all", *(f"{value:.1f}" for value in total)])
    print_table(["process", "RSS MiB", "peak RSS MiB", "% of a core"], rows)
    for name in ("company", "driver", "pipeline"):
        print(f"The imports of {name} alone: {imports_megabytes(f'fleetgen.processes.{name}'):.1f} MiB")
    largest = max(measured[name][0] for name in ("company", "driver"))
    print_goal(f"at most {GOAL_MEGABYTES} MiB a generator", largest <= GOAL_MEGABYTES)
    memory, _, share = measured["pipeline"]
    print_goal(f"the pipeline within {GOAL_PIPELINE_MEGABYTES} MiB", memory <= GOAL_PIPELINE_MEGABYTES)
    print_goal(f"the pipeline within {GOAL_PIPELINE_SHARE} % of a core", share <= GOAL_PIPELINE_SHARE)


if __name__ == "__main__":
    main()
