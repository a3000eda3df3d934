"""Owns the life that every process of a set lives: what it inherits, its loop, its heartbeat, its failures, its last words.

What a process does in a turn is its own `Work`. A new process says what it begins with, what a turn is, and how it ends.
"""

import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fleetgen.cadence.clock import SystemClock
from fleetgen.cadence.loop import WakeUp, rest, run
from fleetgen.cadence.signals import MEANT_FOR, NOTED, STOPPING, let_through
from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import SECOND
from fleetgen.errors import (
    CannotCreate,
    ConfigurationError,
    FleetgenError,
    HeldByAnother,
    Interrupted,
    NotYet,
    SystemLacks,
)
from fleetgen.processes.heartbeat import Heartbeat
from fleetgen.storage.files import raise_lasting, remedy_of
from fleetgen.supervision.crashes import CrashRecord
from fleetgen.supervision.orphans import OrphanGuard, own_supervisor
from fleetgen.telemetry.logs import start_logging

_LONGEST_BACKOFF = 30 * SECOND
_UNCOUNTED_WAIT = 10 * SECOND
_TOLD_EVERY_SECONDS = 5.0
"""Work that takes longer says so often how far it has come."""


class Work:
    """What a process does in its life. Only a turn must be given."""

    signals: Collection[int] = ()
    """Signals that it obeys, beside those for a stop; of others the log says that they mean nothing to it."""

    def begin(self) -> None:
        """Take hold of what the work needs, and say that it starts; what is raised ends the process.

        After NotYet it is called again, for as long as it takes.
        """

    def attend(self, now: int) -> None:
        """Look at what cannot wait, at each turn, also while a fault is waited out."""

    def turn(self, now: int) -> int:
        """Do what is due; return the instant at which to look again."""
        raise NotImplementedError

    def failed(self, fault: Exception) -> None:
        """Count a fault that will be tried again, and let go of what it may have spoilt."""

    def end(self) -> None:
        """Let go, after a stop was asked for."""


class Worker:
    """One process of the set, from its start to its end."""

    def __init__(self, process: str, loaded: LoadedConfig, title: str = "") -> None:
        self.process, self.loaded = process, loaded
        self.title = title or process
        """How sentences name it."""
        self.log = start_logging(process)
        self.clock, self.wake_up = SystemClock(), WakeUp()
        self.heartbeat = Heartbeat(loaded.heartbeat(process))
        self._crashes = CrashRecord(loaded.failures(process))
        self._guard = OrphanGuard()
        self._backoff = SECOND
        self._not_before = 0
        self._ending = False
        self._tell_at = time.monotonic() + _TOLD_EVERY_SECONDS

    def live(self, work: Work) -> None:
        """Wait out earlier failures, then take turns until asked to stop."""
        self.start()
        if not self._begun(work):
            return
        run(self.clock, self.wake_up, lambda: self._turn(work))
        self._end(work)

    def start(self) -> None:
        """Obey signals from now on; tell how the process before this one ended, and wait if that happened again and again.

        A hang-up stops a process that runs by itself, as when its terminal is closed; one of a set goes on.
        """
        stopping = STOPPING if own_supervisor() is not None else (*STOPPING, signal.SIGHUP)
        self.wake_up.on_signals(stopping, [number for number in NOTED if number not in stopping])
        let_through()
        self._crashes.tell(self.log, self.title)
        if wait := self._crashes.wait:
            rest(self.clock, self.wake_up, self.clock.now() + wait, self._beat_if_possible)

    def beat(self) -> None:
        """Show that the process is alive; end it if its supervisord is not."""
        self._guard.end_orphan(self.log)
        self.heartbeat.beat()

    def progress(self, text: str | None = None) -> None:
        """Show that long work, or a wait, goes on; every few seconds the log says how far it has come.

        Raises Interrupted once a stop was asked for, except in the work's end.
        """
        if self.wake_up.stopping and not self._ending:
            raise Interrupted
        self.beat()
        if text is not None and time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + _TOLD_EVERY_SECONDS
            self.log.info(f"{self.title.capitalize()} goes on: {text}", kind="progress")

    def stop_asked(self) -> bool:
        """Whether a stop was asked for; whoever asks while waiting is alive."""
        self.beat()
        return self.wake_up.stopping

    def pass_over(self, obeyed: Collection[int] = ()) -> None:
        """Say of each noted signal that is not obeyed that it means nothing here."""
        asked = self.wake_up.asked
        for number in [each for each in asked if each not in obeyed]:
            asked.remove(number)
            name = signal.Signals(number).name
            self.log.info(
                f"The {self.title} was sent {name}, which means nothing to it: {MEANT_FOR[number]}", kind="signal"
            )

    def worked(self) -> None:
        """Note that the process has done its work: what came before counts no more."""
        self._crashes.worked()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Log why the process ends, if it does so by a fault; a stop that was asked for is none."""
        try:
            yield
        except Interrupted:
            return
        except (HeldByAnother, ConfigurationError, SystemLacks) as fault:
            self.log.error(f"The {self.title} cannot run: {fault}", kind="failed")
            fault.is_logged = True
            raise
        except Exception as fault:
            self._ends_by(fault)
            raise

    def _begun(self, work: Work) -> bool:
        """Let the work begin once nobody holds for a while what it needs; return False if a stop was asked for first."""
        while not self.wake_up.stopping:
            try:
                work.begin()
                return True
            except NotYet as fault:
                self.log.warning(f"The {self.title} waits before it starts: {fault}", kind="waiting")
                rest(self.clock, self.wake_up, self.clock.now() + SECOND, self._beat_if_possible)
        return False

    def _end(self, work: Work) -> None:
        """Let the work end; what somebody else holds now is not waited for longer than once."""
        self._ending = True
        self.heartbeat.stopping()
        try:
            work.end()
        except NotYet as fault:
            self.log.warning(f"The {self.title} ends without having let go of everything: {fault}", kind="waiting")

    def _turn(self, work: Work) -> int:
        """Take a turn. Whatever fails is logged and tried again, ever more slowly."""
        self.beat()
        self._tell_at = time.monotonic() + _TOLD_EVERY_SECONDS
        now = self.clock.now()
        try:
            self.pass_over(work.signals)
            work.attend(now)
            if now < self._not_before <= now + _LONGEST_BACKOFF:  # farther away only if the clock was set back
                return self._not_before
            again = work.turn(now)
            self._backoff = SECOND
            return again
        except Interrupted:
            return now
        except Exception as fault:  # noqa: BLE001 - the loop outlives every fault
            return self._wait_out(fault, work)

    def _wait_out(self, fault: Exception, work: Work) -> int:
        """Tell of a fault and return when to try again; one that no waiting mends is raised."""
        raise_lasting(fault)
        wait = self._backoff
        self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF)
        words, more = _words(fault)
        again = f"{self.title.capitalize()} could not go on; it tries again in {wait // SECOND} s"
        self.log.error(again + words, kind="error", **more)
        work.failed(fault)
        self._not_before = self.clock.now() + wait
        return self._not_before

    def _ends_by(self, fault: Exception) -> None:
        """Tell why the process ends, and count it; if that cannot be written down, wait here instead of at the start."""
        text = f"The {self.title} has failed"
        if isinstance(fault, FleetgenError):
            self.log.error(f"{text}: {fault}", kind="failed")
            fault.is_logged = True
        else:
            self.log.error(text, kind="failed", exc_info=fault)
        if not self._crashes.failed():
            rest(self.clock, self.wake_up, self.clock.now() + _UNCOUNTED_WAIT, self._beat_if_possible)

    def _beat_if_possible(self) -> None:
        with suppress(OSError, CannotCreate):
            self.heartbeat.beat()


def _words(fault: Exception) -> tuple[str, dict[str, Any]]:
    """Return what a sentence says of a fault, and what is logged with it: a remedy, or the traceback of a surprise."""
    if isinstance(fault, OSError) and (remedy := remedy_of(fault)):
        return f": {fault}", {"remedy": remedy}
    return (f": {fault}", {}) if isinstance(fault, FleetgenError) else ("", {"exc_info": fault})
