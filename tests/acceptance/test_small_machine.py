"""A whole set in a container of little memory: nothing is killed, and everything gets into the tables."""

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from support.control_groups import can_limit_memory, memory_group
from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet

CONTAINER_BYTES = 640 << 20
EVENTS = 60_000


@pytest.mark.skipif(not can_limit_memory(), reason="no control group with a limit of memory can be made here")
def test_a_container_of_640_megabytes_is_enough() -> None:
    with (
        memory_group(CONTAINER_BYTES) as group,
        RunningSet(control=True, pipeline=True, events_per_batch=f"{{ min = {EVENTS}, max = {EVENTS} }}") as running,
    ):
        assert group is not None
        start_in(group, running)
        wait_for(partial(carried, running, 4), 150, "Batches in gold")
        assert killed_in(group) == 0
        assert " died " not in running.output
        running.stop()


def start_in(group: Path, running: RunningSet) -> None:
    """Start a set all of whose processes belong to a group."""
    joined = group / "cgroup.procs"
    with (running.folder / "output").open("ab") as output:
        running.process = subprocess.Popen(
            [*FLEETGEN, "up", "--config", str(running.config)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: joined.write_text(str(os.getpid())),
        )


def carried(running: RunningSet, count: int) -> bool:
    """Whether so many large batches are in every table."""
    return running.output.count(f": {EVENTS} lines (") >= count


def killed_in(group: Path) -> int:
    """Return how many processes of a group the system has killed for their memory."""
    counters = [group / name for name in ("memory.events", "memory.oom_control")]
    lines = [line for path in counters if path.exists() for line in path.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
