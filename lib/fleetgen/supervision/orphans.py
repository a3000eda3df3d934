"""Owns the guard that lets no process outlive its supervisord, so that no second set writes beside it.

It knows its supervisord by fleetgen's own mark: somebody else's supervisord, above a shell, is none of its business.
"""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fleetgen.machine import die_with_parent, has_ended

if TYPE_CHECKING:
    from fleetgen.telemetry.logs import Logger

SUPERVISOR_MARK = "FLEETGEN_SUPERVISOR"
"""The variable of the environment in which the set's supervisord gives its children its pid."""


class OrphanGuard:
    """Watches the parent of a process that the set's supervisord started; without one it watches nothing."""

    def __init__(self) -> None:
        self._parent = own_supervisor()
        if self._parent is not None:
            die_with_parent()

    def end_orphan(self, log: "Logger") -> None:
        """End this process if supervisord is gone; where the system does not kill its children, they have to look."""
        if self._parent is None or os.getppid() == self._parent:
            return
        with suppress(Exception):  # supervisord read what is said here: the pipe to it may be broken
            log.error(
                f"supervisord (process {self._parent}) is gone; this process ends so that no second set writes "
                "beside it",
                kind="failed",
            )
        os._exit(1)


def own_supervisor() -> int | None:
    """Return the pid of the set's supervisord if it started this process, also if it has ended since."""
    mark = os.environ.get(SUPERVISOR_MARK, "")
    if not mark.isdecimal():
        return None
    pid = int(mark)
    return pid if pid == os.getppid() or has_ended(pid) else None
