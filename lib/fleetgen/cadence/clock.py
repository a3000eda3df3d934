"""Owns the reading of clocks and the waiting; the only place where either happens. The schedule is left to `schedule`."""

import ctypes
import select
import sys
import time
from contextlib import suppress
from typing import Protocol

from fleetgen.domain.records import SECOND

_PR_SET_TIMERSLACK = 29

_LAST_STEP = 1000
"""Microseconds before a moment at which the last step of a wait for it begins at the latest."""


class Clock(Protocol):
    """Tells the time in microseconds since the epoch, UTC, and waits for it."""

    def now(self) -> int:
        """Return the present instant."""
        ...

    def wait_until(self, moment: int, wake_up: int) -> bool:
        """Wait until the moment, or until the descriptor ``wake_up`` can be read; return whether it can."""
        ...


def system_now() -> int:
    """Return the present instant by the machine's clock."""
    return time.time_ns() // 1000


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        sharpen_timer()

    def now(self) -> int:
        return system_now()

    def wait_until(self, moment: int, wake_up: int) -> bool:
        """Wait in two steps: Linux ends a wait for a descriptor up to a thousandth of its length late, whatever the slack."""
        remaining = moment - self.now()
        early = remaining - remaining // 500 - _LAST_STEP
        return (early > 0 and _wait(early, wake_up)) or _wait(max(0, moment - self.now()), wake_up)


def _wait(microseconds: int, wake_up: int) -> bool:
    return bool(select.select([wake_up], [], [], microseconds / SECOND)[0])


class LogicalClock:
    """A clock that is moved: waiting takes no time and arrives at once."""

    def __init__(self, start: int) -> None:
        self.moment = start

    def now(self) -> int:
        return self.moment

    def wait_until(self, moment: int, wake_up: int) -> bool:
        self.moment = max(self.moment, moment)
        return False


class StopWatch:
    """Times phases that follow each other, by a clock that is never set."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        """Seconds spent in each phase."""
        self._mark = time.perf_counter()

    def lap(self, phase: str) -> None:
        """End a phase."""
        mark = time.perf_counter()
        self.phases[phase] = mark - self._mark
        self._mark = mark


def sharpen_timer() -> None:
    """Ask Linux to end waits of this thread within a nanosecond instead of 50 microseconds of their time."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
