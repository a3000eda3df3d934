"""Owns watching the processes from inside supervisord: a hung one is killed, and systemd is told that the set is well.

A process counts in a heartbeat file while it turns its loop. Silence is counted in ticks of supervisord itself, so that
a machine, or a whole set, that was asleep is not taken for hung when it wakes.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.states import ProcessStates

from fleetgen.supervision.notifying import notify

SILENT_TICKS = 6
"""Ticks of 5 seconds for which a heartbeat may stand still."""

SILENT_SECONDS = 5 * SILENT_TICKS
"""The same for a service manager that watches by itself."""


class Watchdog:
    """Looks at every running process once a tick."""

    def __init__(self, supervisord: Any, run: Path, notify_socket: str | None, hung: Callable[[Any], None]) -> None:
        self._supervisord = supervisord
        self._run = run
        self._notify_socket = notify_socket
        self._hung = hung
        self._last: dict[str, tuple[int, str, int]] = {}
        self._ready = False

    def tick(self, event: Any) -> None:
        """Kill what is hung, and tell systemd how the set is."""
        every = self._processes()
        running = [process for process in every if process.get_state() == ProcessStates.RUNNING]
        silent = [process for process in running if self._silent_ticks(process) >= SILENT_TICKS]
        for process in silent:
            self._hung(process)
            os.kill(process.pid, signal.SIGKILL)
        if not self._ready and running == every and all(self._has_beaten(process) for process in running):
            self._ready = True
            self._notify("READY=1")
        if self._ready and not silent:
            self._notify("WATCHDOG=1")

    def stopping(self, event: Any) -> None:
        """Tell systemd that the set stops, and nothing more."""
        self._notify("STOPPING=1")
        self._notify_socket = None

    def _processes(self) -> list[Any]:
        return [process for group in self._supervisord.process_groups.values() for process in group.processes.values()]

    def _silent_ticks(self, process: Any) -> int:
        """Return for how many ticks the heartbeat has stood still in this life of the process."""
        beat = self._beat(process)
        pid, last, ticks = self._last.get(process.config.name, (0, "", 0))
        ticks = ticks + 1 if (pid, last) == (process.pid, beat) else 0
        self._last[process.config.name] = (process.pid, beat, ticks)
        return ticks

    def _has_beaten(self, process: Any) -> bool:
        return self._beat(process).startswith(f"{process.pid} ")

    def _beat(self, process: Any) -> str:
        with suppress(OSError):
            return (self._run / f"{process.config.name}.heartbeat").read_text()
        return ""

    def _notify(self, state: str) -> None:
        if self._notify_socket is not None:
            notify(self._notify_socket, state)
