"""Waiting for something with a limit that means the same on a fast machine and on a slow or busy one.

A limit is what a user may expect of a machine with nothing else to do. While others take its processors, as the tests
beside each other do, the clock of a limit stands still; on a slow machine it goes slower. Requirements of time are
measured by the tests that are marked ``quiet``, which run by themselves; beside other tests a limit is three times what it says,
for what waits for a processor there waits in many places one after the other.
"""

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

BESIDE_OTHERS = 3 if os.environ.get("PYTEST_XDIST_WORKER") else 1
"""How many times as long something may take as by itself."""
_MOST_STRETCHED = 10
_PRESSURE = Path("/proc/pressure/cpu")
_USUAL_SECONDS = 0.012
"""What the work of `slowness` takes on a machine of these years."""


def wait_for(what: Callable[[], T | None], seconds: float, why: str) -> T:
    """Return what becomes true within so many seconds; fail otherwise."""
    watch = Watch()
    while watch.within(seconds):
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{why} did not happen within {seconds} s")


class Watch:
    """Counts the seconds in which nobody had to wait for a processor, as a usual machine would have taken them."""

    def __init__(self) -> None:
        self._began, self._waited = time.monotonic(), _waited_seconds()

    def seconds(self) -> float:
        elapsed = time.monotonic() - self._began
        fair = (elapsed - (_waited_seconds() - self._waited)) / slowness()
        return max(fair, elapsed / _MOST_STRETCHED)

    def within(self, seconds: float) -> bool:
        """Whether no more time has gone by than something may take that takes so many seconds by itself."""
        return self.seconds() < seconds * BESIDE_OTHERS


def _waited_seconds() -> float:
    """Return for how long in all some process has waited for a processor; 0 where the system does not tell."""
    try:
        return int(_PRESSURE.read_text().split("\n", 1)[0].rpartition("total=")[2]) / 1e6
    except (OSError, ValueError):
        return 0.0


@cache
def slowness() -> float:
    """Return how much slower than usual this machine is; at least 1."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        sum(number for number in range(300_000))
        taken.append(time.process_time() - began)
    return max(1.0, min(taken) / _USUAL_SECONDS)
