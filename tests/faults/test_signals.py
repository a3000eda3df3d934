"""Signals: each process of a set has decided what each means before one can reach it, so none kills and none is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fleetgen.cadence.signals import NOTED, STOPPING, end_by_stops, fork_holding
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


def test_a_signal_that_reaches_a_process_as_it_is_begun_waits_until_it_has_become_its_program(tmp_path: Path) -> None:
    """The instants between a fork and the start of a program are met by sending from inside of the fork itself."""
    said = tmp_path / "said"
    program = f"import signal; open({str(said)!r}, 'w').write(repr(sorted(signal.sigpending())))"

    def fork() -> int:
        if pid := os.fork():
            return pid
        for number in (*NOTED, *STOPPING):
            os.kill(os.getpid(), number)
        return 0

    if (pid := fork_holding(fork)) == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert said.read_text() == repr(sorted((*NOTED, *STOPPING)))
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {*NOTED, *STOPPING}, "The parent goes on as before"


def test_a_stop_that_reaches_a_process_as_it_is_begun_ends_it(tmp_path: Path) -> None:
    started = tmp_path / "started"

    def fork() -> int:
        if pid := os.fork():
            return pid
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        if (pid := fork_holding(fork)) == 0:
            end_by_stops()
            started.touch()
            os._exit(0)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
    assert not started.exists()


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
        wait_for(partial(was_told_of, starting, name, "SIGUSR1"), 20, f"What the {name} says of a signal")


def was_told_of(running: RunningSet, process: str, signal_name: str) -> bool:
    """Whether a process has said that a signal means nothing to it."""
    sentence = f"was sent {signal_name}, which means nothing to it: company and driver pause on it"
    return any(sentence in line["event"] for line in running.log(process) if line.get("kind") == "signal")


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
