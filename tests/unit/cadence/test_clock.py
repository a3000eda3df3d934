"""The machine's clock waits for an instant in two steps, neither too short, and a descriptor ends either."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from fleetgen.cadence.clock import SystemClock
from fleetgen.domain.records import SECOND


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("microseconds", [-SECOND, 0, 1, 500, 1000, 1003, 30_000, 300_000])
def test_a_wait_never_ends_before_its_moment(pipe: tuple[int, int], microseconds: int) -> None:
    clock = SystemClock()
    moment = clock.now() + microseconds
    assert clock.wait_until(moment, pipe[0]) is False
    assert clock.now() >= moment


def test_what_can_be_read_already_ends_a_wait_at_once(pipe: tuple[int, int]) -> None:
    clock = SystemClock()
    os.write(pipe[1], b"x")
    for microseconds in (-1, 500, 3600 * SECOND):
        assert clock.wait_until(clock.now() + microseconds, pipe[0]) is True


def test_what_comes_meanwhile_ends_a_long_wait(pipe: tuple[int, int]) -> None:
    clock = SystemClock()
    Timer(0.05, os.write, (pipe[1], b"x")).start()
    assert clock.wait_until(clock.now() + 3600 * SECOND, pipe[0]) is True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a slack of timers")
def test_a_clock_asks_for_timers_without_slack() -> None:
    SystemClock()
    slack = Path(f"/proc/self/task/{os.getpid()}/timerslack_ns")
    assert not slack.exists() or slack.read_text() == "1\n"
