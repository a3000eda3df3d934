"""Owns the threads that a process has beside its main one: each outlives every fault of its steps, says it and counts it."""

import threading
import time
from collections.abc import Callable

from fleetgen.telemetry.logs import Logger

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 30.0


class Background:
    """Runs steps again and again, each kind in a thread of its own that ends with the process."""

    def __init__(self, title: str, log: Logger, count: Callable[[str], None] = lambda name: None) -> None:
        self._title, self._log, self._count = title, log, count

    def start(self, name: str, step: Callable[[], float]) -> None:
        """Call ``step`` from now on; it returns for how many seconds it is then left alone."""
        threading.Thread(target=self._run, args=(name, step), name=name, daemon=True).start()

    def failed(self, name: str, fault: Exception, wait_seconds: float) -> None:
        """Say, and count, that something could not be done and is tried again."""
        self._count(name)
        self._log.error(
            f"{self._title.capitalize()} could not go on with {name}; it tries again in {wait_seconds:g} s",
            kind="error",
            exc_info=fault,
        )

    def _run(self, name: str, step: Callable[[], float]) -> None:
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                time.sleep(step())
                wait = _FIRST_WAIT_SECONDS
            except Exception as fault:  # noqa: BLE001 - a thread that ended would be missed by nobody
                self.failed(name, fault, wait)
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
