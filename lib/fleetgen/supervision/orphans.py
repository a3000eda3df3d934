"""Owns the guard that lets no process outlive its supervisord, so that no second set writes beside it."""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class OrphanGuard:
    """Watches the parent of a process that supervisord started; without supervisord it watches nothing."""

    def __init__(self, pid_file: Path) -> None:
        self._parent: int | None = None
        if os.environ.get("SUPERVISOR_ENABLED"):
            die_with_parent()
            with suppress(OSError, ValueError):
                self._parent = int(pid_file.read_text())

    def is_orphan(self) -> bool:
        """Whether supervisord is gone; where the system does not kill its children, they have to look."""
        return self._parent is not None and os.getppid() != self._parent


def die_with_parent() -> None:
    """Let the system kill this process when its parent dies; only Linux can."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
