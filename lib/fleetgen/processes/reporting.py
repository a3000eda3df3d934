"""Owns what a generator tells of its batches: metrics and the sentences of its log."""

from collections import deque

from fleetgen.domain.records import SECOND, Settings, Stream
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest
from fleetgen.telemetry.logs import Logger
from fleetgen.telemetry.metrics import GeneratorMetrics

_PACE_BATCHES = 10


class Reporter:
    """Tells of one process's batches."""

    def __init__(self, process: str, stream: Stream, log: Logger, metrics: GeneratorMetrics) -> None:
        self._process, self._stream, self._log, self._metrics = process, stream, log, metrics
        self._finished: deque[int] = deque(maxlen=_PACE_BATCHES)
        self._segment: int | None = None
        self._dataset: str | None = None

    def published(self, batch: Published) -> None:
        """Tell of a batch."""
        entry = batch.entry
        self._metrics.published(batch)
        if batch.late or batch.first:
            self._finished.clear()
        self._finished.append(batch.finished_at)
        self._log.info(
            f"{self._named(entry)} generated{self._shares(batch)}",
            kind="batch_published",
            stream=self._stream.value,
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

    def adopted(self, entries: list[BatchEntry]) -> None:
        """Tell of batches that a crash had left unrecorded."""
        for entry in entries:
            self._log.warning(f"{self._named(entry)}, published before a crash, is now recorded", kind="adopted")

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

    def _named(self, entry: BatchEntry) -> str:
        return f"{self._process.capitalize()} batch {entry.batch_number}: {entry.record_count} {self._stream}"

    def _shares(self, batch: Published) -> str:
        """Return how many records are valid, where issues are injected."""
        if not batch.dirty:
            return ""
        return f" ({batch.entry.valid_count} valid, {batch.entry.corrupted_count} corrupted)"

    def _batches_per_minute(self) -> float | None:
        """Return the pace of the last batches, or None before the second."""
        span = self._finished[-1] - self._finished[0]
        return round((len(self._finished) - 1) * 60 * SECOND / span, 3) if span else None
