"""Owns counting what supervisord could not write to its log files, and saying it once; leaves showing it to `console`."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor import loggers


class Losses:
    """How many pieces of log were lost since it was last said, and why."""

    def __init__(self) -> None:
        self._count = 0
        self._at_last_tick = 0
        self._reason = ""

    def note(self, handler: Any = None) -> None:
        """Count the fault that is being handled; stands in for supervisor's own, which prints a traceback."""
        fault = sys.exc_info()[1]
        self._count += 1
        self._reason = getattr(fault, "strerror", None) or str(fault)

    def tick(self, tell: Callable[[str], None]) -> None:
        """Tell what was lost, once no more was since the last tick: a full disk loses many."""
        if self._count and self._count == self._at_last_tick:
            tell(f"{self._count} pieces of log could not be written ({self._reason})")
            self._count = 0
        self._at_last_tick = self._count


LOSSES = Losses()
"""Those of this supervisord: its log handlers are made all over the place, so they share one."""

_roll_over = loggers.RotatingFileHandler.doRollover


def survive_losses() -> None:
    """Let supervisor's log handlers count what cannot be written, and go on; their own way ends the reading of a process."""
    loggers.Handler.handleError = LOSSES.note
    loggers.RotatingFileHandler.doRollover = _rolled_over


def _rolled_over(handler: Any) -> None:
    """Rotate a file; one that cannot be rotated is written on."""
    try:
        _roll_over(handler)
    except OSError:
        LOSSES.note()
        if handler.stream.closed:
            with suppress(OSError):
                handler.stream = Path(handler.baseFilename).open("ab")  # noqa: SIM115 - the handler closes it
