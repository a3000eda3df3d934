"""Owns what both generator processes do in their turns: the stream, edits, metrics and log lines."""

import shutil
import signal
from contextlib import suppress

from fleetgen.config.loading import LoadedConfig, load
from fleetgen.config.model import Config
from fleetgen.config.watching import ConfigWatch, Edit, keep_as_last_good
from fleetgen.domain.records import Stream, iso
from fleetgen.errors import ConfigurationError, NotYet
from fleetgen.generation import lifecycle
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import StreamMaker
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.generation.withholding import Behind, Hold, behind
from fleetgen.processes.memory import keep_freed_memory
from fleetgen.processes.reporting import Reporter
from fleetgen.processes.worker import Work, Worker
from fleetgen.storage.manifest import Manifest, Totals
from fleetgen.telemetry.metrics import GeneratorMetrics, served_metrics


class Generator(Work):
    """What a generator process does: a stream's batches, and whatever people ask for meanwhile."""

    signals = (signal.SIGUSR1, signal.SIGUSR2)

    def __init__(self, worker: Worker, stream: Stream, metrics: GeneratorMetrics, fault: str | None) -> None:
        self.stream, self.metrics = stream, metrics
        self.process, self.loaded, self.log = worker.process, worker.loaded, worker.log
        self.config = worker.loaded.config
        self.reporter = Reporter(worker.process, stream, worker.log, metrics)
        self.watch = ConfigWatch(worker.loaded.file, worker.loaded)
        self.dataset = Dataset(worker.loaded.layout, worker.progress)
        self.maker = StreamMaker(
            stream,
            self.dataset,
            worker.clock,
            read_config=self.read_config,
            interrupted=worker.stop_asked,
            beat=worker.heartbeat.beat,
        )
        self._worker = worker
        self._fault = fault
        self._recovered = False
        self._followed = False
        self._rebuilds = 0
        self._told_stall: int | None = None
        self._told_hold: str | None = None

    def read_config(self) -> Config:
        """Return the configuration as the file has it now; while that is invalid, the last valid one."""
        with suppress(ConfigurationError):
            self.config = load(self.loaded.file).config
        return self.config

    def begin(self) -> None:
        self.maker.hold()
        self.log.info(f"Starting {self.process} generator in {self.config.mode} mode", kind="starting")
        self._configured(Edit(None if self._fault else self.loaded, self._fault))

    def end(self) -> None:
        self.log.info(f"Stopping {self.process} generator", kind="stopping")

    def failed(self, fault: Exception) -> None:
        self.metrics.error("batch")
        self.maker.held_up_by(fault)

    def attend(self, now: int) -> None:
        """Pause on SIGUSR1, resume on SIGUSR2; a signal that could not be obeyed is tried again."""
        asked = self._worker.wake_up.asked
        while asked:
            if asked[0] == signal.SIGUSR1:
                if lifecycle.pause(self.dataset, now, "SIGUSR1"):
                    self.log.info(f"{self.process.capitalize()} was told by SIGUSR1: paused", kind="paused")
            elif lifecycle.resume(self.dataset, now, self.config).changed:
                self.log.info(f"{self.process.capitalize()} was told by SIGUSR2: resumed", kind="resumed")
            asked.popleft()

    def turn(self, now: int) -> int:
        if edit := self.watch.look(now):
            self._configured(edit)
            if edit.loaded is not None:
                self.log.info(
                    f"{self.process.capitalize()} has taken over the edited configuration", kind="config_taken"
                )
        if not self._recovered:
            self.maker.recover()
            self._recovered = True
        if not self._followed:
            self.maker.follow_config()
            self._followed = True
        decision, again = self.maker.plan()
        for found in self.dataset.take_adopted():
            self.reporter.published(found)
        if decision is None:
            self.maker.mend_derived()
            self.reporter.derived(self.maker.derived)
            self._look_around()
            if self.maker.prune() or self.maker.trash.delete_some():
                return now
            return min(again, self.watch.look_again_at() or again)
        outcome = self.maker.perform(decision)
        self.metrics.lock_waited(self.maker.lock_wait_seconds)
        if isinstance(outcome, Published):
            self.reporter.published(outcome)
        elif isinstance(outcome, LeftOut):
            self.reporter.left_out(outcome)
        self.reporter.derived(self.maker.derived)
        self.maker.prune()
        self._worker.worked()
        return self._worker.clock.now()

    def _configured(self, edit: Edit) -> None:
        """Take over a valid edit, or tell once of an invalid one."""
        self.metrics.config_read(edit.fault is None, self._worker.clock.now())
        if edit.loaded is None:
            self.metrics.error("config")
            self.log.error(f"The configuration is invalid; the old settings stay in force. {edit.fault}", kind="config")
            return
        self.config = edit.loaded.config
        self.maker.take_over(self.config)
        self._followed = False
        keep_as_last_good(edit.loaded, self.loaded.last_good)

    def _look_around(self) -> None:
        """Export where things stand."""
        manifest = self.dataset.read()
        if self.dataset.rebuilds > self._rebuilds:
            self._rebuilds = self.dataset.rebuilds
            self.log.warning("The manifest was lost or damaged and has been made anew", kind="rebuilt")
        free = shutil.disk_usage(self.loaded.layout.data).free
        self.metrics.standing(bool(manifest and manifest.desired.paused), free)
        if manifest is None or manifest.origin is None:
            self.metrics.totals(Totals())
            self.metrics.progress(0, None, None)
            return
        self._note_stall(manifest)
        self._note_hold(manifest)
        self.reporter.following(manifest, self.dataset.segments(manifest)[-1].settings)
        last = manifest.head(self.stream).last_published_at
        self.metrics.progress(self._companies(manifest), last, self.maker.next_due())

    def _note_stall(self, manifest: Manifest) -> None:
        """Tell once of a stream that stands still since the clock was set back."""
        until = self.dataset.stalled_until(manifest, self.stream, self._worker.clock.now())
        if until is not None and until != self._told_stall:
            self.log.warning(f"{self.process.capitalize()} waits: {lifecycle.stall(iso(until))}", kind="clock_behind")
        self._told_stall = until

    def _note_hold(self, manifest: Manifest) -> None:
        """Tell once of what withholds batches or is to be warned of, and once of its end."""
        held = self.maker.hold_of(manifest)
        slow = behind(manifest, self.config.backpressure, self.stream)
        kind = held.reason if held else "backpressure" if slow else None
        if kind != self._told_hold:
            self._tell_hold(held, slow)
        self._told_hold = kind
        active = held is not None and held.reason == "backpressure"
        self.metrics.backpressure(active, self.config.backpressure.max_backlog_batches)

    def _tell_hold(self, held: Hold | None, slow: list[Behind]) -> None:
        name = self.process.capitalize()
        if held:
            self.log.warning(f"{name} publishes nothing: {held.detail}", kind="withheld", reason=held.reason)
        elif slow:
            self.log.warning(f"{name} goes on, but {'; '.join(map(str, slow))}", kind="backlog")
        else:
            self.log.info(f"{name} is not held up any more", kind="released")

    def _companies(self, manifest: Manifest) -> int:
        return manifest.head(Stream.COMPANIES).next_company


def run_generator(
    process: str, stream: Stream, loaded: LoadedConfig, address: str, port: int, fault: str | None
) -> None:
    """Serve metrics and make batches until asked to stop; raises HeldByAnother for a busy stream or port.

    The stream comes first: whoever starts a second process of it is told that, and not of the port that the first has.
    """
    keep_freed_memory()
    worker = Worker(process, loaded)
    metrics = GeneratorMetrics(stream, loaded.config.mode)
    generator = Generator(worker, stream, metrics, fault)
    with worker.telling():
        with suppress(NotYet):  # it is waited for when the process begins
            generator.maker.hold()
        with served_metrics(metrics.registry, address, port):
            worker.live(generator)
