"""Owns the waiting of a process: to absolute deadlines, in slices, with a pipe that signals can wake it by.

What is due, and what is done then, is left to the caller.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable
from types import FrameType

from fleetgen.cadence.clock import Clock
from fleetgen.domain.records import SECOND

SLICE = SECOND
"""The longest wait, in microseconds, between two looks at the world."""


class WakeUp:
    """A pipe that ends a wait. Signal handlers write to it through the interpreter and only set flags themselves."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        self.stopping = False
        self.asked: deque[int] = deque()
        """Signals other than those for a stop, in the order in which they came; whoever obeys one removes it."""

    def on_signals(self, stopping: Iterable[signal.Signals], noted: Iterable[signal.Signals] = ()) -> None:
        """Let some signals ask for a stop, and note others in ``asked``; what is ignored stays ignored."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for numbers, handler in ((stopping, self._stop), (noted, self._note)):
            for number in numbers:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as by nohup
                    signal.signal(number, handler)

    def stop_asked(self) -> bool:
        """Whether a stop was asked for."""
        return self.stopping

    def drain(self) -> None:
        """Forget what woke the last wait."""
        try:
            while os.read(self.reader, 512):
                pass
        except BlockingIOError:
            return

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked.append(number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True


def rest(clock: Clock, wake_up: WakeUp, until: int, look: Callable[[], None]) -> None:
    """Do nothing but look until an instant, or until a stop is asked for; a clock that is set back ends it, too."""
    began = clock.now()
    while not wake_up.stopping and began <= clock.now() < until:
        look()
        if clock.wait_until(min(until, clock.now() + SLICE), wake_up.reader):
            wake_up.drain()


def run(clock: Clock, wake_up: WakeUp, turn: Callable[[], int]) -> None:
    """Take turns until a stop is asked for.

    ``turn`` does what is due and returns the instant of the next deadline (at or before now: at once). It is called at
    least once in a slice. Deadlines are absolute, so that lateness never adds up.
    """
    while not wake_up.stopping:
        deadline = turn()
        now = clock.now()
        if deadline > now and not wake_up.stopping and clock.wait_until(min(deadline, now + SLICE), wake_up.reader):
            wake_up.drain()
