"""A supervisord that is stopped holds up nobody for long, and is known again as soon as it goes on."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from support.event_stream import health, reasons
from support.patience import Watch, wait_for
from support.sets import RunningSet, running_set

COMMANDS = (("status",), ("status", "--json"), ("reload",), ("down",), ("up",), ("clean", "--yes", "--logs"))


@contextmanager
def stopped(running: RunningSet) -> Iterator[None]:
    """Let supervisord stand still for a block."""
    assert running.process is not None
    os.kill(running.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.process.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with running_set(True, company_interval='"PT1S"', driver_interval='"PT1S"') as each:
        each.call("pause")
        yield each


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_says_within_seconds_that_supervisord_does_not_answer(
    running: RunningSet, command: tuple[str, ...]
) -> None:
    with stopped(running):
        watch = Watch()
        said = running.call(*command, check=False)
        assert watch.within(30)
    assert (said.returncode, "does not answer" in said.stderr) == (69, True), said.stdout + said.stderr
    assert said.stderr.count("\n") == 1


def test_health_tells_of_it_and_forgets_it_once_supervisord_goes_on(running: RunningSet) -> None:
    with stopped(running):
        told = wait_for(lambda: reasons(running).get("supervisor_unreachable"), 20, "The reason in health")
        assert "does not answer" in told
        time.sleep(8)
        assert "supervisor_unreachable" in reasons(running)
    wait_for(lambda: "supervisor_unreachable" not in reasons(running), 10, "Supervisord's return")
    assert {each["name"] for each in health(running)["processes"]} == {"company", "driver", "control"}


def test_a_clean_over_http_empties_the_data_and_says_what_kept_it_from_the_logs(running: RunningSet) -> None:
    with stopped(running):
        told = httpx.post(f"{running.api}/clean", params={"logs": "true"}, timeout=60).json()
    assert told["success"] is False
    assert "The logs are not emptied: supervisord does not answer" in told["errors"][0]
