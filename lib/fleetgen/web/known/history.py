"""Owns how the newest intervals of both streams went: batches with their cadence and issues, gaps with their reason.

It reads the ends of the ledgers, and each batch's meta once. Who asks for it pays for it; nobody else does.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from fleetgen.domain.records import SECOND, Stream, instant
from fleetgen.errors import FleetgenError
from fleetgen.storage.bronze import read_meta
from fleetgen.storage.ledger import BatchEntry, GapEntry
from fleetgen.web.known.following import Follower

KEPT = 60
"""Newest intervals of a stream that are known."""


@dataclass(frozen=True, slots=True)
class Past:
    """An interval, or several in a row that were left out. Times are seconds, instants microseconds."""

    start: int
    end: int
    batch_id: str | None = None
    """None for a gap."""
    batch_number: int | None = None
    records: int = 0
    issues: dict[str, int] = field(default_factory=dict)
    """Records with an issue, by its type."""
    started_at: int | None = None
    lag: float | None = None
    """Actual minus scheduled start; None where the meta is damaged."""
    deviation: float | None = None
    """How far the time since the batch before was from what it should be; None after a gap."""
    published_at: int | None = None
    reason: str | None = None
    """Why there is a gap."""
    detail: str | None = None
    intervals: int = 1

    @property
    def caught_up(self) -> bool:
        """Whether the batch was made late on purpose: the first one, and those that fell due while nobody attended."""
        return self.batch_number == 0 or (self.lag is not None and self.lag * SECOND >= self.end - self.start)

    @property
    def corrupted(self) -> int:
        """Records with an issue."""
        return sum(self.issues.values())


class History:
    """The newest intervals of a dataset, brought up to date by `refresh`."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._dataset_id: str | None = None
        self._past: dict[Stream, deque[Past]] = {}
        self._forget()

    def of(self, stream: Stream) -> list[Past]:
        """Return what is known of a stream, oldest first."""
        return list(self._past[stream])

    def refresh(self) -> bool:
        """Take in what has come since the last time; return whether anything is other than it was."""
        manifest = self._follower.manifest
        if manifest is None:
            return False
        if is_another := manifest.dataset_id != self._dataset_id:
            self._forget()
            self._dataset_id = manifest.dataset_id
        extended = [self._extend(stream, manifest.head(stream).stands_at) for stream in Stream]
        return is_another or any(extended)

    def _forget(self) -> None:
        self._past = {stream: deque(maxlen=KEPT) for stream in Stream}

    def _extend(self, stream: Stream, stands_at: int) -> bool:
        past = self._past[stream]
        reached = past[-1].end if past else 0
        if reached >= stands_at:
            return False
        try:
            newest = self._follower.dataset.ledgers[stream].newest_by(stands_at, KEPT)
        except (FleetgenError, OSError):
            return False
        coming = [entry for entry in newest if entry.interval.end > reached]
        for entry in coming:
            past.append(self._gap(entry) if isinstance(entry, GapEntry) else self._batch(stream, entry))
        return bool(coming)

    def _gap(self, entry: GapEntry) -> Past:
        start, end = entry.interval.start, entry.interval.end
        return Past(start, end, reason=entry.reason, detail=entry.detail, intervals=entry.intervals)

    def _batch(self, stream: Stream, entry: BatchEntry) -> Past:
        start, end = entry.interval.start, entry.interval.end
        started_at, published_at = self._clock(stream, entry.batch_id)
        before = self._past[stream][-1] if self._past[stream] else None
        deviation = None
        if started_at is not None and before is not None and before.started_at is not None and not before.caught_up:
            deviation = abs((started_at - before.started_at) - (end - before.end)) / SECOND
        return Past(
            start,
            end,
            batch_id=entry.batch_id,
            batch_number=entry.batch_number,
            records=entry.record_count,
            issues=entry.issue_counts,
            started_at=started_at,
            lag=None if started_at is None else max(0, started_at - end) / SECOND,
            deviation=deviation,
            published_at=published_at,
        )

    def _clock(self, stream: Stream, batch_id: str) -> tuple[int | None, int | None]:
        """Return when a batch was begun and published, as far as its meta tells."""
        try:
            meta: dict[str, Any] = read_meta(self._follower.dataset.layout, stream, batch_id) or {}
            return instant(meta["started_at"]), instant(meta["generation_time"])
        except (OSError, ValueError, KeyError, TypeError):
            return None, None
