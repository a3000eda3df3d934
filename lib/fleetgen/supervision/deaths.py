"""Owns what supervisord's side knows of the ends of processes: by which signal, why in all likelihood, and how often.

A process that is killed cannot write that down. It is noted here, where the next one reads it and slows down.
"""

import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleetgen.machine import memory_kills
from fleetgen.supervision.crashes import CrashRecord

CAUSES = ("memory", "crash", "kill", "exit")
"""Short of memory; a fault of the program or a library; any other signal, as by a person; a status other than 0."""

RECENT_SECONDS = 300
MANY_DEATHS = 3
"""So many recent deaths of a process by signals are worth telling of."""

STATUSES: dict[int, int] = {}
"""The status of each process that was waited for and whose end was not noted yet, by pid."""

_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"})


@dataclass
class _Known:
    """What is known of one process's ends."""

    causes: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(CAUSES, 0)))
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    last: str = ""


class Deaths:
    """Notes every end of a supervised process that nobody asked for."""

    def __init__(self, run: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._memory_kills = memory_kills()
        self._known: dict[str, _Known] = {}
        self.hung: set[int] = set()
        """Processes that were killed because their heartbeat stood still."""

    def note(self, process: Any) -> str:
        """Note an end that was not expected; return how it came, as a part of a sentence."""
        name, pid = process.config.name, process.pid
        cause, how = self._explained(pid, process.exitstatus)
        known = self._known.setdefault(name, _Known())
        known.causes[cause] += 1
        if cause != "exit":  # of those the process itself tells
            known.recent.append(self._clock())
            known.last = how
        record = CrashRecord(self._run / f"{name}.failures.json")
        if record.pid != pid:  # otherwise the process wrote it down itself
            record.ended(pid, how, is_kill=cause == "kill")
        return how

    def told(self) -> dict[str, dict[str, Any]]:
        """Return by process the deaths since supervisord's start by cause, how many of those by signals were recent, and
        how the last one came.
        """
        since = self._clock() - RECENT_SECONDS
        return {
            name: {
                "causes": dict(known.causes),
                "recent": sum(at >= since for at in known.recent),
                "last": known.last,
            }
            for name, known in self._known.items()
        }

    def _explained(self, pid: int, exit_status: int) -> tuple[str, str]:
        status = STATUSES.pop(pid, None)
        STATUSES.clear()  # ends that were asked for
        if status is None or not os.WIFSIGNALED(status):
            return "exit", f"ended with status {exit_status}"
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else "unnamed"
        by = f"signal {number} ({name})"
        if number == signal.SIGKILL:
            return self._killed(pid, by)
        if name in _CRASHES:
            return "crash", f"crashed by {by}"
        return "kill", f"killed by {by}"

    def _killed(self, pid: int, by: str) -> tuple[str, str]:
        kills, self._memory_kills = memory_kills() - self._memory_kills, memory_kills()
        if pid in self.hung:
            self.hung.discard(pid)
            return "kill", f"killed by {by}, for its heartbeat stood still"
        if kills > 0:
            return "memory", f"killed by {by}, for memory is short"
        return "kill", f"killed by {by}, not by fleetgen"
