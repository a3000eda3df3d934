"""Owns which batches are scored: of which streams, in which time, how many of the newest, up to which number."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fleetgen.domain.records import Stream
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Choice:
    """Which batches to score; instants are microseconds since the epoch."""

    streams: tuple[Stream, ...] = tuple(Stream)
    start: int | None = None
    """Intervals that start at or after this instant."""
    until: int | None = None
    """Intervals that end at or before this instant."""
    newest: int | None = None
    """Of these, so many of the newest of each stream."""
    last: Mapping[Stream, int] = field(default_factory=dict)
    """Of a stream, the batches up to this number; without one, all that are published."""

    def entries(self, dataset: Dataset, manifest: Manifest, stream: Stream) -> Iterable[BatchEntry]:
        """Return the chosen batches of a stream, oldest first; the newest of all cost no more than they are."""
        last = self.last.get(stream, manifest.head(stream).next_batch - 1)
        if self.newest is not None and self.start is None and self.until is None:
            first = max(0, last + 1 - self.newest)
            return dataset.ledgers[stream].batches_from(first, last + 1 - first)
        found = self._in_time(dataset, last, stream)
        return found if self.newest is None else deque(found, self.newest)

    def _in_time(self, dataset: Dataset, last: int, stream: Stream) -> Iterator[BatchEntry]:
        for entry in dataset.ledgers[stream].batches():
            if entry.batch_number > last or (self.until is not None and entry.interval.end > self.until):
                return
            if self.start is None or entry.interval.start >= self.start:
                yield entry
