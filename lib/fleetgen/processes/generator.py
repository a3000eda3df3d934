"""Owns the wiring that both generator processes have in common: clock, loop, stream, edits, metrics and log lines."""

import shutil
import signal
from contextlib import suppress

from fleetgen.cadence.clock import SystemClock
from fleetgen.cadence.loop import WakeUp, rest, run
from fleetgen.config.loading import LoadedConfig, load
from fleetgen.config.model import Config
from fleetgen.config.watching import ConfigWatch, Edit, keep_as_last_good
from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.errors import CannotCreate, ConfigurationError, FleetgenError, HeldByAnother, Interrupted, SystemLacks
from fleetgen.generation import lifecycle
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import LeftOut, Published, StreamMaker
from fleetgen.processes.heartbeat import Heartbeat
from fleetgen.processes.memory import keep_freed_memory
from fleetgen.processes.reporting import Reporter
from fleetgen.storage.files import is_disk_fault, raise_lasting, remedy_of
from fleetgen.storage.manifest import Manifest, Totals
from fleetgen.supervision.crashes import CrashRecord
from fleetgen.supervision.orphans import OrphanGuard
from fleetgen.telemetry.logs import start_logging
from fleetgen.telemetry.metrics import GeneratorMetrics, serve_metrics

_LONGEST_BACKOFF = 30 * SECOND
_UNCOUNTED_WAIT = 10 * SECOND


class Generator:
    """A running generator process."""

    def __init__(self, process: str, stream: Stream, loaded: LoadedConfig, metrics: GeneratorMetrics) -> None:
        self.process, self.stream, self.loaded, self.metrics = process, stream, loaded, metrics
        self.config = loaded.config
        self.clock = SystemClock()
        self.wake_up = WakeUp()
        self.guard = OrphanGuard()
        self.log = start_logging(process)
        self.reporter = Reporter(process, stream, self.log, metrics)
        self.heartbeat = Heartbeat(loaded.heartbeat(process))
        self.crashes = CrashRecord(loaded.failures(process))
        self.watch = ConfigWatch(loaded.file, loaded)
        self.dataset = Dataset(loaded.layout)
        self.maker = StreamMaker(
            stream,
            self.dataset,
            self.clock,
            read_config=self.read_config,
            interrupted=self.wake_up.stop_asked,
            beat=self.heartbeat.beat,
        )
        self._backoff = SECOND
        self._not_before = 0
        self._recovered = False
        self._followed = False
        self._rebuilds = 0
        self._told_stall: int | None = None

    def read_config(self) -> Config:
        """Return the configuration as the file has it now; while that is invalid, the last valid one."""
        with suppress(ConfigurationError):
            self.config = load(self.loaded.file).config
        return self.config

    def live(self, fault: str | None) -> None:
        """Hold the stream and make its batches until asked to stop; ``fault`` is what is wrong with the file now."""
        self.wake_up.on_signals((signal.SIGUSR1, signal.SIGUSR2))
        self._slow_down()
        self.maker.hold()
        self.log.info(f"Starting {self.process} generator in {self.config.mode} mode", kind="starting")
        self._configured(Edit(None if fault else self.loaded, fault))
        run(self.clock, self.wake_up, self.turn)
        self.log.info(f"Stopping {self.process} generator", kind="stopping")

    def turn(self) -> int:
        """Do what is due; return when to look again. Whatever fails is logged and tried again, ever more slowly."""
        self.guard.end_orphan(self.log)
        self.heartbeat.beat()
        now = self.clock.now()
        try:
            self._obey(now)
            if now < self._not_before <= now + _LONGEST_BACKOFF:  # farther away only if the clock was set back
                return self._not_before
            again = self._work(now)
            self._backoff = SECOND
            return again
        except Interrupted:
            return now
        except Exception as fault:  # noqa: BLE001 - the loop outlives every fault
            return self._failed(fault)

    def _obey(self, now: int) -> None:
        """Pause on SIGUSR1, resume on SIGUSR2; a signal that could not be obeyed is tried again."""
        while self.wake_up.asked:
            if self.wake_up.asked[0] == signal.SIGUSR1:
                if lifecycle.pause(self.dataset, now, "SIGUSR1"):
                    self.log.info(f"{self.process.capitalize()} was told by SIGUSR1: paused", kind="paused")
            elif lifecycle.resume(self.dataset, now, self.config).changed:
                self.log.info(f"{self.process.capitalize()} was told by SIGUSR2: resumed", kind="resumed")
            self.wake_up.asked.popleft()

    def _work(self, now: int) -> int:
        if edit := self.watch.look(now):
            self._configured(edit)
        if not self._recovered:
            self.reporter.adopted(self.maker.recover())
            self._recovered = True
        if not self._followed:
            self.maker.follow_config()
            self._followed = True
        decision, again = self.maker.plan()
        if decision is None:
            self._look_around()
            return min(again, self.watch.look_again_at() or again)
        outcome = self.maker.perform(decision)
        self.metrics.lock_waited(self.maker.lock_wait_seconds)
        if isinstance(outcome, Published):
            self.reporter.published(outcome)
        elif isinstance(outcome, LeftOut):
            self.reporter.left_out(outcome)
        self.crashes.worked()
        return self.clock.now()

    def _configured(self, edit: Edit) -> None:
        """Take over a valid edit, or tell once of an invalid one."""
        self.metrics.config_read(edit.fault is None, self.clock.now())
        if edit.loaded is None:
            self.metrics.error("config")
            self.log.error(f"The configuration is invalid; the old settings stay in force. {edit.fault}", kind="config")
            return
        self.config = edit.loaded.config
        self.maker.catch_up_limit = self.config.schedule.catch_up_limit
        self._followed = False
        keep_as_last_good(edit.loaded, self.loaded.last_good)

    def _look_around(self) -> None:
        """Export where things stand."""
        manifest = self.dataset.read()
        if self.dataset.rebuilds > self._rebuilds:
            self._rebuilds = self.dataset.rebuilds
            self.log.warning("The manifest was lost or damaged and has been made anew", kind="rebuilt")
        free = shutil.disk_usage(self.loaded.layout.data).free
        if manifest is None or manifest.origin is None:
            self.metrics.totals(Totals())
            self.metrics.standing(bool(manifest and manifest.desired.paused), 0, None, free)
            return
        self._note_stall(manifest)
        self.reporter.following(manifest, self.dataset.segments(manifest)[-1].settings)
        self.metrics.standing(manifest.desired.paused, self._companies(manifest), self.maker.next_due(), free)

    def _note_stall(self, manifest: Manifest) -> None:
        """Tell once of a stream that stands still since the clock was set back."""
        until = self.dataset.stalled_until(manifest, self.stream, self.clock.now())
        if until is not None and until != self._told_stall:
            self.log.warning(f"{self.process.capitalize()} waits: {lifecycle.stall(iso(until))}", kind="clock_behind")
        self._told_stall = until

    def _companies(self, manifest: Manifest) -> int:
        return manifest.head(Stream.COMPANIES).next_company

    def _slow_down(self) -> None:
        """Tell how the process before this one ended, and wait if that happened again and again."""
        self.crashes.tell(self.log, self.process)
        if wait := self.crashes.wait:
            rest(self.clock, self.wake_up, self.clock.now() + wait, self._beat_if_possible)

    def ends_by(self, failure: Exception) -> None:
        """Tell why the process ends, and count it; if that cannot be written down, wait here instead of at the start."""
        if isinstance(failure, FleetgenError):
            self.log.error(f"The {self.process} has failed: {failure}", kind="failed")
        else:
            self.log.error(f"The {self.process} has failed", kind="failed", exc_info=failure)
        if not self.crashes.failed():
            rest(self.clock, self.wake_up, self.clock.now() + _UNCOUNTED_WAIT, self._beat_if_possible)

    def _beat_if_possible(self) -> None:
        with suppress(OSError, CannotCreate):
            self.heartbeat.beat()

    def _failed(self, fault: Exception) -> int:
        """Tell of a fault and say when to try again; one that lasts is raised."""
        raise_lasting(fault)
        self.maker.held_up_by(fault)
        self.metrics.error("batch")
        wait = self._backoff
        self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF)
        name, again = self.process.capitalize(), f"it tries again in {wait // SECOND} s"
        if is_disk_fault(fault):
            self.log.error(f"{name} could not go on; {again}: {fault}", kind="error", **_remedy(fault))
        elif isinstance(fault, FleetgenError):
            self.log.error(f"{name} could not go on; {again}: {fault}", kind="error")
        else:
            self.log.error(f"{name} could not go on; {again}", kind="error", exc_info=fault)
        self._not_before = self.clock.now() + wait
        return self._not_before


def _remedy(fault: Exception) -> dict[str, str]:
    """Return what helps against a fault of the disk; the message of a CannotCreate says it already."""
    remedy = remedy_of(fault) if isinstance(fault, OSError) else ""
    return {"remedy": remedy} if remedy else {}


def run_generator(
    process: str, stream: Stream, loaded: LoadedConfig, address: str, port: int, fault: str | None
) -> None:
    """Serve metrics and make batches until asked to stop; raises HeldByAnother for a busy port or stream."""
    keep_freed_memory()
    metrics = GeneratorMetrics(stream)
    generator = Generator(process, stream, loaded, metrics)
    server = None
    try:
        server = serve_metrics(metrics.registry, address, port)
        generator.live(fault)
    except Interrupted:
        pass
    except (HeldByAnother, ConfigurationError, SystemLacks) as failure:
        generator.log.error(f"The {process} cannot run: {failure}", kind="failed")
        raise
    except Exception as failure:
        generator.ends_by(failure)
        raise
    finally:
        if server is not None:
            server.shutdown()
