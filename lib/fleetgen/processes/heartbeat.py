"""Owns a process's heartbeat: its pid and a count, in a file, that grows while the process turns its loop.

A service manager that started the process is told of it too.
"""

import os
from pathlib import Path

from fleetgen.storage.files import make_folder
from fleetgen.supervision.notifying import Notifier


class Heartbeat:
    """Counts up in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._count = 0
        self._notifier = Notifier()

    def beat(self) -> None:
        """Count one up."""
        if self._descriptor is None:
            make_folder(self._path.parent, mode=0o700)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._count += 1
        os.pwrite(self._descriptor, b"%d %d\n" % (os.getpid(), self._count), 0)
        self._notifier.alive()

    def stopping(self) -> None:
        """Tell a service manager that the process stops because it was asked to."""
        self._notifier.stopping()
