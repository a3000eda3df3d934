"""Owns what a generator tells of its batches: metrics and the sentences of its log."""

from collections import deque

from fleetgen.domain.records import SECOND, Settings, Stream
from fleetgen.generation.deriving import Derived
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.storage.files import remedy_of
from fleetgen.storage.manifest import Manifest
from fleetgen.telemetry.logs import Logger
from fleetgen.telemetry.metrics import GeneratorMetrics

_PACE_BATCHES = 10
_REMEMBERED = 512
"""Batches that are known to have been told, beyond what an adoption tells of at once."""
_MAKERS = {Stream.COMPANIES: "Company", Stream.EVENTS: "Driver"}


class Reporter:
    """Tells of one process's batches."""

    def __init__(self, process: str, stream: Stream, log: Logger, metrics: GeneratorMetrics) -> None:
        self._process, self._stream, self._log, self._metrics = process, stream, log, metrics
        self._finished: deque[int] = deque(maxlen=_PACE_BATCHES)
        self._told: deque[tuple[Stream, str]] = deque(maxlen=_REMEMBERED)
        self._segment: int | None = None
        self._dataset: str | None = None
        self._derived_failures = 0
        self._derived_trouble: Exception | None = None

    def published(self, batch: Published) -> None:
        """Tell of a batch, also of one that was adopted; that of the other stream's is counted by its own process."""
        if batch.adopted and (batch.stream, batch.entry.batch_id) in self._told:
            return  # the manifest was put back to before it
        self._told.append((batch.stream, batch.entry.batch_id))
        entry, tell, adopted = batch.entry, self._log.info, {}
        how = f"generated{self._shares(batch)}"
        if batch.stream is self._stream:
            self._count(batch)
        if batch.adopted:
            tell, adopted = self._log.warning, {"adopted": True}
            how = f"was published but not recorded; it is recorded now{self._shares(batch)}"
        tell(
            f"{_MAKERS[batch.stream]} batch {entry.batch_number}: {entry.record_count} {batch.stream} {how}",
            kind="batch_published",
            stream=batch.stream.value,
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
            batches_per_minute=self._batches_per_minute() if batch.stream is self._stream else None,
            **adopted,
        )

    def _count(self, batch: Published) -> None:
        self._metrics.published(batch)
        if batch.late or batch.first or batch.adopted:
            self._finished.clear()
        self._finished.append(batch.finished_at)

    def left_out(self, gap: LeftOut) -> None:
        """Tell of a gap."""
        self._metrics.left_out(gap)
        entry = gap.entry
        intervals = "1 interval" if entry.intervals == 1 else f"{entry.intervals} intervals"
        why = f"{entry.reason}: {entry.detail}" if entry.detail else entry.reason
        tell = self._log.info if entry.reason == "paused" else self._log.warning  # a pause is somebody's wish
        tell(
            f"{self._process.capitalize()} gap: {intervals} left out ({why})",
            kind="gap",
            stream=self._stream.value,
            reason=entry.reason,
            intervals=entry.intervals,
            interval_start=entry.start,
            interval_end=entry.end,
        )

    def derived(self, files: Derived) -> None:
        """Count each failure of a derived file; tell of the first of a row, and of its end."""
        for _ in range(files.failures - self._derived_failures):
            self._metrics.error("derived")
        self._derived_failures = files.failures
        if (files.trouble is None) == (self._derived_trouble is None):
            return
        self._derived_trouble = files.trouble
        name = self._process.capitalize()
        if files.trouble is None:
            self._log.info(f"{name} has put its derived files right", kind="derived")
            return
        remedy = remedy_of(files.trouble) if isinstance(files.trouble, OSError) else ""
        self._log.error(
            f"{name} publishes, but a file that follows from its batches cannot be written: {files.trouble}. "
            f"It is tried again from time to time. {remedy}".rstrip(),
            kind="derived",
        )

    def following(self, manifest: Manifest, settings: Settings) -> None:
        """Tell of a new segment, and export what is in force in it."""
        self._metrics.totals(manifest.head(self._stream).totals)
        number = manifest.segments[-1].number
        known = self._dataset == manifest.dataset_id
        if not known or number != self._segment:
            self._metrics.in_force(settings)
            if known:
                self._log.info(
                    f"{self._process.capitalize()} enters segment {number} in {settings.mode} mode",
                    kind="segment",
                    segment=number,
                    mode=settings.mode,
                )
        self._dataset, self._segment = manifest.dataset_id, number

    def _shares(self, batch: Published) -> str:
        """Return how many records are valid, where issues are injected."""
        if not batch.dirty:
            return ""
        return f" ({batch.entry.valid_count} valid, {batch.entry.corrupted_count} corrupted)"

    def _batches_per_minute(self) -> float | None:
        """Return the pace of the last batches, or None before the second."""
        if not self._finished:
            return None
        span = self._finished[-1] - self._finished[0]
        return round((len(self._finished) - 1) * 60 * SECOND / span, 3) if span else None
