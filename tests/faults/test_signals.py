"""Signals: each process of a set has decided what each means before one can reach it, so none kills and none is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.config.loading import load
from fleetgen.errors import Unreachable
from fleetgen.supervision.client import Supervisor
from support.configs import SHIPPED, set_folder
from support.patience import wait_for
from support.sets import RunningSet, free_ports

PROCESSES = {"company", "driver", "pipeline", "control"}


@pytest.fixture
def starting() -> Iterator[RunningSet]:
    """A set with all processes, which the test starts itself."""
    with RunningSet(True, True, company_interval='"PT1S"', driver_interval='"PT1S"') as running:
        yield running


def started(supervisor: Supervisor) -> dict[str, int]:
    """Return the pids of all processes, as soon as supervisord has started them."""
    try:
        found = {each.name: each.pid for each in supervisor.processes() if each.pid}
    except Unreachable:
        return {}
    return found if found.keys() == PROCESSES else {}


def test_signals_from_the_first_moment_on_kill_no_process_and_are_obeyed(starting: RunningSet) -> None:
    starting.start(wait=False)
    supervisor = Supervisor(load(starting.config).socket)
    pids = wait_for(lambda: started(supervisor), 20, "The start of all processes")
    for number in (signal.SIGHUP, signal.SIGUSR1):
        for pid in pids.values():
            os.kill(pid, number)

    wait_for(lambda: is_paused(starting), 20, "The pause that a process was asked for at its start")
    for name in ("HUP", "USR1", "USR2"):
        starting.ctl("signal", name, "all")
    wait_for(lambda: not is_paused(starting), 10, "The resume")
    counts = {stream: starting.batch_count(stream) for stream in ("companies", "events")}
    wait_for(lambda: all(starting.batch_count(each) > counts[each] + 1 for each in counts), 20, "Further batches")
    assert started(supervisor) == pids
    for name in ("pipeline", "control"):
        told = [line["event"] for line in starting.log(name) if line.get("kind") == "signal"]
        assert any(
            "was sent SIGUSR1, which means nothing to it: company and driver pause on it" in each for each in told
        )


def is_paused(running: RunningSet) -> bool:
    return (running.data / "manifests" / "generator_state.json").exists() and running.manifest()["desired"]["paused"]


@pytest.mark.parametrize("name", ["company", "pipeline", "control"])
def test_a_process_by_itself_stops_when_its_terminal_is_closed(tmp_path: Path, name: str) -> None:
    file = set_folder(tmp_path, SHIPPED.read_text())
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "fleetgen", "run", name, "--config", str(file), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            assert running.stdout is not None
            assert "Starting" in running.stdout.readline()
            running.send_signal(signal.SIGHUP)
            assert running.wait(20) == 0
        finally:
            running.kill()
