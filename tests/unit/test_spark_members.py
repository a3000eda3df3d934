"""Which groups of processes are Spark's, by whole command lines; real processes stand for the JVMs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from members import OF_SPARK, is_there, runs_spark

from support.patience import wait_for


@contextmanager
def a_group(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, with these at the end of its command line."""
    command = [sys.executable, "-c", "import time; time.sleep(60)", *arguments]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_long_command_line_is_looked_at_to_its_end() -> None:
    with a_group("x" * 9000, f"{OF_SPARK}deploy.worker.Worker") as process:
        wait_for(lambda: runs_spark(process.pid), 10, "Its command line")


def test_another_group_is_there_but_none_of_sparks() -> None:
    with a_group("something", "else") as process:
        assert is_there(process.pid)
        assert not runs_spark(process.pid)


def test_what_has_ended_is_gone_although_nobody_has_waited_for_it() -> None:
    with a_group(f"{OF_SPARK}deploy.master.Master") as process:
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: not is_there(process.pid), 10, "Its end")
        assert not runs_spark(process.pid)


def test_a_group_lives_on_with_a_child_of_its_leader() -> None:
    sleep = ["-c", "import time; time.sleep(60)", f"{OF_SPARK}executor"]
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, *{sleep!r}])"
    with subprocess.Popen([sys.executable, "-c", start], start_new_session=True) as leader:
        leader.wait()
    try:
        wait_for(lambda: runs_spark(leader.pid), 10, "The child")
    finally:
        os.killpg(leader.pid, signal.SIGKILL)


def test_no_pid_is_no_group() -> None:
    assert not runs_spark(0)
