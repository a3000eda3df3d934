"""Owns the wiring that both generator processes have in common: clock, loop, stream, metrics and log lines."""

import os
import shutil
from collections import deque

from fleetgen.cadence.clock import SystemClock
from fleetgen.cadence.loop import WakeUp, run
from fleetgen.config.loading import LoadedConfig, load
from fleetgen.domain.records import SECOND, Settings, Stream
from fleetgen.errors import FleetgenError, Interrupted
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import LeftOut, Published, StreamMaker
from fleetgen.processes.heartbeat import Heartbeat
from fleetgen.storage.files import is_disk_fault
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest
from fleetgen.supervision.orphans import OrphanGuard
from fleetgen.telemetry.logs import start_logging
from fleetgen.telemetry.metrics import GeneratorMetrics

_LONGEST_BACKOFF = 30 * SECOND


class Generator:
    """A running generator process."""

    def __init__(self, process: str, stream: Stream, loaded: LoadedConfig, metrics: GeneratorMetrics) -> None:
        self.process, self.stream, self.loaded, self.metrics = process, stream, loaded, metrics
        self.clock = SystemClock()
        self.wake_up = WakeUp()
        self.guard = OrphanGuard(loaded.pid_file)
        self.log = start_logging(process)
        self.heartbeat = Heartbeat(loaded.heartbeat(process))
        self.dataset = Dataset(loaded.layout)
        self.maker = StreamMaker(
            stream,
            self.dataset,
            self.clock,
            read_config=lambda: load(loaded.file).config,
            interrupted=self.wake_up.stop_asked,
            beat=self.heartbeat.beat,
        )
        self._backoff = SECOND
        self._finished: deque[int] = deque(maxlen=10)
        self._segment = 0

    def live(self) -> None:
        """Hold the stream and make its batches until asked to stop."""
        self.wake_up.on_signals()
        self.maker.hold()
        self.log.info(f"Starting {self.process} generator in {self.loaded.config.mode} mode", kind="starting")
        self.metrics.config_read(True, self.clock.now())
        for entry in self.maker.recover():
            self.log.warning(f"{self._named(entry)} was published before a crash and is now recorded", kind="adopted")
        self.maker.follow_config()
        run(self.clock, self.wake_up, self.turn, self.look)
        self.log.info(f"Stopping {self.process} generator", kind="stopping")

    def look(self) -> None:
        """Show signs of life, and see how the world stands."""
        if self.guard.is_orphan():
            os._exit(1)
        self.heartbeat.beat()
        manifest = self.dataset.store.read()
        free = shutil.disk_usage(self.loaded.layout.data).free
        if manifest is None or manifest.origin is None:
            self.metrics.standing(bool(manifest and manifest.desired.paused), 0, None, free)
            return
        self._follow_segment(manifest)
        self.metrics.standing(
            manifest.desired.paused, manifest.head(Stream.COMPANIES).next_company, self.maker.next_due(), free
        )

    def turn(self) -> int:
        """Do what is due; return when to look again. Whatever fails is logged and tried again, ever more slowly."""
        try:
            decision, again = self.maker.plan()
            if decision is None:
                return again
            outcome = self.maker.perform(decision)
            self.metrics.lock_waited(self.maker.lock_wait_seconds)
            self._report(outcome)
            self._backoff = SECOND
        except Interrupted:
            pass
        except Exception as fault:  # noqa: BLE001 - the loop outlives every fault
            return self._failed(fault)
        return self.clock.now()

    def _failed(self, fault: Exception) -> int:
        self.metrics.error("batch")
        wait = self._backoff
        self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF)
        told = f"{self.process} could not go on: {fault} It tries again in {wait // SECOND} s."
        if is_disk_fault(fault):
            self.log.error(told, kind="error", remedy=f"Make room in {self.loaded.layout.data}.")
        elif isinstance(fault, FleetgenError):
            self.log.error(told, kind="error")
        else:
            self.log.error(told, kind="error", exc_info=fault)
        return self.clock.now() + wait

    def _follow_segment(self, manifest: Manifest) -> None:
        self.metrics.totals(manifest.head(self.stream).totals)
        if manifest.segments[-1].number != self._segment:
            self._segment = manifest.segments[-1].number
            self.metrics.in_force(self._settings(manifest))

    def _settings(self, manifest: Manifest) -> Settings:
        return self.dataset.segments(manifest)[-1].settings

    def _report(self, outcome: Published | LeftOut | None) -> None:
        if isinstance(outcome, Published):
            self.metrics.published(outcome)
            self._log_batch(outcome)
        elif outcome is not None:
            self.metrics.left_out(outcome)
            gap = outcome.entry
            self.log.warning(
                f"{self.process.capitalize()} gap: {gap.intervals} intervals from {gap.start} to {gap.end} left out"
                f" ({gap.reason})",
                kind="gap",
                **gap.model_dump(exclude={"kind", "company_count"}),
            )

    def _log_batch(self, batch: Published) -> None:
        entry = batch.entry
        self._finished.append(batch.finished_at)
        self.log.info(
            f"{self._named(entry)} generated",
            kind="batch_published",
            stream=self.stream.value,
            mode=entry.mode,
            segment=entry.segment,
            batch_id=entry.batch_id,
            batch_number=entry.batch_number,
            record_count=entry.record_count,
            target_count=batch.target_count,
            valid_count=entry.valid_count,
            corrupted_count=entry.corrupted_count,
            duration_seconds=(batch.finished_at - batch.started_at) / SECOND,
            start_lag_seconds=(batch.started_at - batch.scheduled_at) / SECOND,
            batches_per_minute=self._batches_per_minute(),
        )

    def _named(self, entry: BatchEntry) -> str:
        noun = "companies" if self.stream is Stream.COMPANIES else "events"
        return f"{self.process.capitalize()} batch {entry.batch_number}: {entry.record_count} {noun}"

    def _batches_per_minute(self) -> float | None:
        """Return the pace of the last batches, or None before the second."""
        span = self._finished[-1] - self._finished[0]
        return round((len(self._finished) - 1) * 60 * SECOND / span, 3) if span else None


def run_generator(process: str, stream: Stream, loaded: LoadedConfig, port: int) -> None:
    """Serve metrics and make batches until asked to stop; raises HeldByAnother for a busy port or stream."""
    metrics = GeneratorMetrics(stream)
    generator = Generator(process, stream, loaded, metrics)
    server = metrics.serve(loaded.config.metrics.address, port)
    try:
        generator.live()
    except Interrupted:
        pass
    finally:
        server.shutdown()
