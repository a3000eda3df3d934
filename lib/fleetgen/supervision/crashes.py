"""Owns slowing down a crash loop: a process that failed again and again before it had worked waits before it tries again.

supervisord restarts at once and for ever. A process notes its own failures; of those that it could not write down
supervisord's side notes the end. Some kills are free: one by a person costs no interval.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetgen.domain.records import SECOND
from fleetgen.storage.files import replace_file
from fleetgen.storage.reading import read_json
from fleetgen.telemetry.logs import Logger

LONGEST_WAIT = 60 * SECOND
FREE_KILLS = 20
"""So many kills in a row cost nothing: no person kills more often before the process has done anything."""


class CrashRecord:
    """Counts the failures and kills in a row of one process, in a file of its own in the run folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        noted = self._read()
        self._failures = int(noted.get("failures", 0))
        self._kills = int(noted.get("kills", 0))
        self.pid = int(noted.get("pid", 0))
        """The process whose end was noted last."""
        self.how = str(noted.get("how", ""))
        """How supervisord saw that process end; empty if it told so itself."""

    @property
    def in_a_row(self) -> int:
        """How many ends since the process last worked count as failures."""
        return self._failures + max(0, self._kills - FREE_KILLS)

    @property
    def wait(self) -> int:
        """Microseconds to wait before working, after this many failures in a row."""
        return min(SECOND << min(self.in_a_row - 1, 10), LONGEST_WAIT) if self.in_a_row else 0

    def tell(self, log: Logger, process: str) -> None:
        """Log, at the start of a process, what became of those before it."""
        waits = f"; it waits {self.wait // SECOND} s" if self.wait else ""
        if self.how:
            text = f"The {process} before this one (process {self.pid}) died: {self.how}{waits}"
            log.warning(text, kind="crash_loop" if waits else "death")
        elif waits:
            log.warning(f"The {process} failed before{waits}", kind="crash_loop")

    def failed(self) -> bool:
        """Note that this process ends by a failure of its own; return whether that could be written down."""
        self._failures, self.pid, self.how = self._failures + 1, os.getpid(), ""
        return self._write()

    def ended(self, pid: int, how: str, is_kill: bool) -> None:
        """Note how a process ended that could not write it down itself."""
        self._failures += not is_kill
        self._kills += is_kill
        self.pid, self.how = pid, how
        self._write()

    def worked(self) -> None:
        """Note that the process has done its work."""
        if self._failures or self._kills:
            self._failures = self._kills = 0
            self._path.unlink(missing_ok=True)

    def _write(self) -> bool:
        noted = {"failures": self._failures, "kills": self._kills, "pid": self.pid, "how": self.how}
        try:
            replace_file(self._path, json.dumps(noted).encode(), durable=False)
        except OSError:
            return False
        return True

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            noted = read_json(self._path)
            if isinstance(noted, dict) and all(
                isinstance(noted.get(key, 0), int) for key in ("failures", "kills", "pid")
            ):
                return noted
        return {}
