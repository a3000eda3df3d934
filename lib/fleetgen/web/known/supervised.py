"""Owns watching the supervised processes: what supervisord says of them, their heartbeats, their failures in a row.

It looks from a thread of its own, so that a supervisord that does not answer holds up nobody.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import FleetgenError
from fleetgen.supervision.client import ANSWER_SECONDS, ProcessState, Supervisor
from fleetgen.supervision.crashes import CrashRecord

if TYPE_CHECKING:
    from fleetgen.telemetry.background import Background

LOOK_SECONDS = 0.5
HUNG_SECONDS = 10.0
"""A process beats at least once a second, and once a block within a large batch; a slow disk may take longer."""

LOOPING_FAILURES = 2
_STALE_SECONDS = ANSWER_SECONDS + 2


@dataclass(frozen=True, slots=True)
class Supervised:
    """What was seen at one look."""

    processes: tuple[ProcessState, ...] = ()
    restarts: dict[str, int] = field(default_factory=dict)
    hung: tuple[str, ...] = ()
    """Processes that run but have not counted in their heartbeats for too long."""
    looping: dict[str, int] = field(default_factory=dict)
    """Failures in a row of the processes that fail again and again."""
    deaths: dict[str, Any] = field(default_factory=dict)
    """What supervisord knows of the processes that have died: `Supervisor.deaths`."""
    fault: str | None = None
    """Why supervisord could not be asked."""


class SupervisedWatch:
    """Looks twice a second. Without supervisord, as when one process runs by itself, it sees no processes."""

    def __init__(self, loaded: LoadedConfig, supervised: bool) -> None:
        self._loaded = loaded
        self._supervisor = Supervisor(loaded.socket)
        self._supervised = supervised
        self._beats: dict[str, tuple[str, float]] = {}
        self._last = Supervised()
        self._looked_at = time.monotonic()

    def start(self, background: "Background") -> None:
        """Look from now on, until the process ends; once before this returns, so that nobody sees an empty set."""
        if not self._supervised:
            return
        with suppress(Exception):  # the thread says what is wrong
            self._look_again()
        background.start("looking at the processes", self._look_again)

    def last(self) -> Supervised:
        """Return what was seen last; if that is too long ago, that supervisord does not answer."""
        if self._supervised and time.monotonic() - self._looked_at > _STALE_SECONDS:
            return Supervised(fault="supervisord does not answer.")
        return self._last

    def _look_again(self) -> float:
        self._last = self.look()
        self._looked_at = time.monotonic()
        return LOOK_SECONDS

    def look(self) -> Supervised:
        """Look once."""
        try:
            starts = self._supervisor.starts()  # first: a restart that is counted is then seen in the pids too
            processes = tuple(self._supervisor.processes())
            deaths = self._supervisor.deaths()
        except FleetgenError as fault:
            return Supervised(fault=str(fault))
        running = [each.name for each in processes if each.state == "RUNNING"]
        return Supervised(
            processes=processes,
            restarts={each.name: max(0, starts.get(each.name, 0) - 1) for each in processes},
            hung=tuple(name for name in running if self._is_hung(name)),
            looping={
                each.name: count
                for each in processes
                if (count := CrashRecord(self._loaded.failures(each.name)).in_a_row) >= LOOPING_FAILURES
            },
            deaths=deaths,
        )

    def _is_hung(self, name: str) -> bool:
        now = time.monotonic()
        beat = ""
        with suppress(OSError):
            beat = self._loaded.heartbeat(name).read_text()
        before, since = self._beats.get(name, ("", now))
        if beat != before:
            since = now
        self._beats[name] = (beat, since)
        return now - since > HUNG_SECONDS
