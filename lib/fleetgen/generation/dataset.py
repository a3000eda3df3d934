"""Owns what may be done to a dataset under the manifest's lock: begin it, open a segment, settle a stream's head.

Making and publishing batches is left to `maker`.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress

from fleetgen.cadence.clock import system_now
from fleetgen.cadence.schedule import Grid, next_interval, origin_starts
from fleetgen.config.model import Config
from fleetgen.config.segments import digest, read_segment, write_segment
from fleetgen.domain.records import ALGORITHM, SECOND, Interval, Segment, Stream, batch_id, segment_of
from fleetgen.errors import DamagedManifest, DatasetChanged, ManifestError, NoDataset
from fleetgen.generation import recording
from fleetgen.generation.cleaning import finish_cleaning
from fleetgen.generation.outcomes import Published, adopted
from fleetgen.generation.rebuilding import complete_ledger, rebuild, segment_entry
from fleetgen.generation.working_out import published_batch
from fleetgen.storage.files import make_folder, sync_folder
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, GapEntry, Ledger
from fleetgen.storage.manifest import Head, Manifest, SegmentEntry
from fleetgen.storage.progress import Progress, unwatched
from fleetgen.storage.store import ManifestStore, Transaction

_ADOPTED = 256
"""Lines that a crash keeps from the manifest at most, those of a round. Further ones were told when they were written."""

ReadConfig = Callable[[], Config]


class Dataset:
    """The dataset of one data directory, as the processes share it; long work of it, and waits, call ``progress``."""

    def __init__(self, layout: Layout, progress: Progress = unwatched) -> None:
        self.layout, self.progress = layout, progress
        self.store = ManifestStore(layout, self._rebuild, progress)
        self.rebuilds = 0
        """How often this process had to make the manifest anew."""
        self.ledgers = {stream: Ledger(layout.ledger(stream)) for stream in Stream}
        self._adopted: dict[tuple[Stream, int], Published] = {}
        self._segments: dict[tuple[str, int], Segment] = {}

    def read(self) -> Manifest | None:
        """Return the manifest, made anew if it is lost or damaged; None where there is no dataset."""
        with suppress(DamagedManifest):
            if (manifest := self.store.read()) is not None or not self._has_traces():
                return manifest
        with self.store.locked() as transaction:
            return transaction.manifest

    def manifest(self) -> Manifest:
        """Return the manifest; raise NoDataset where there is none."""
        manifest = self.read()
        if manifest is None:
            raise NoDataset(self.layout.data)
        return manifest

    def segments(self, manifest: Manifest) -> tuple[Segment, ...]:
        """Return the dataset's segments, oldest first; each file is read once."""
        return tuple(self._segment(manifest.dataset_id, entry.number) for entry in manifest.segments)

    def grid(self, manifest: Manifest, stream: Stream) -> Grid:
        """Return the grid on which the stream's next interval ends."""
        segments = self.segments(manifest)
        steps = [segment.settings.interval_seconds(stream) * SECOND for segment in segments[-2:]]
        return Grid(
            step=steps[-1],
            opened_at=segments[-1].instant,
            previous_step=steps[0] if len(steps) > 1 else None,
            origin=self._origin(manifest, segments[0])[stream],
        )

    def next_interval(self, manifest: Manifest, stream: Stream) -> Interval:
        """Return the interval that follows for a stream."""
        return next_interval(manifest.head(stream).stands_at, self.grid(manifest, stream))

    def stalled_until(self, manifest: Manifest, stream: Stream, now: int) -> int | None:
        """Return the instant before which nothing of a stream can come, if the clock was ahead of now when it was used.

        In the order of things a stream's next interval ends within one step of its grid.
        """
        if manifest.origin is None:
            return None
        due = self.next_interval(manifest, stream).end
        return due if due > now + self.grid(manifest, stream).step + SECOND else None

    def _has_traces(self) -> bool:
        """Whether other files than the manifest tell of a dataset."""
        places = (self.layout.segments, *(ledger.path for ledger in self.ledgers.values()), self.layout.raw)
        return any(place.exists() for place in places)

    def companies_in_reach(self, manifest: Manifest, moment: int) -> int:
        """Return how many companies were registered in intervals that ended by this instant."""
        if not self.ledgers[Stream.COMPANIES].path.exists():
            with self.store.locked() as transaction:
                self.keep_ledger(transaction.manifest, Stream.COMPANIES)
        entry = self.ledgers[Stream.COMPANIES].ended_by(moment)
        return entry.company_count if entry else 0

    def begin(self, transaction: Transaction, read_config: ReadConfig, at: int) -> Manifest:
        """Record the origin of an empty dataset and open its first segment."""
        manifest = finish_cleaning(self.layout, transaction)
        if manifest.origin is not None:
            return manifest
        config = read_config()
        drawn = manifest.drawn_seed if manifest.drawn_seed is not None else secrets.randbelow(2**63)
        manifest = manifest.updated(origin=at, drawn_seed=drawn if config.seed is None else None)
        manifest = self._open_segment(manifest, config, at)
        segment = self.segments(manifest)[0]
        for stream in Stream:
            make_folder(self.layout.stream(stream))
            start = self._origin(manifest, segment)[stream].start
            manifest = manifest.with_head(stream, Head(stands_at=start))
        return transaction.save(manifest)

    def follow_config(self, transaction: Transaction, read_config: ReadConfig, at: int) -> Manifest:
        """Open a new segment if the configuration, read again under the lock, differs in what decides the bytes."""
        manifest = transaction.manifest
        if manifest.origin is None:
            return manifest
        config = read_config()
        if config.seed is None and manifest.drawn_seed is None:
            manifest = manifest.updated(drawn_seed=self.segments(manifest)[-1].settings.seed)
        if self._is_in_force(manifest, config):
            return manifest
        for stream in Stream:
            manifest = self.settle(manifest, stream)
        if not self._is_in_force(manifest, config):
            manifest = self._open_segment(manifest, config, at)
        return transaction.save(manifest)

    def _is_in_force(self, manifest: Manifest, config: Config) -> bool:
        newest = manifest.segments[-1]
        asked = digest(config.settings(self._seed(manifest, config)))
        return (asked, ALGORITHM) == (newest.digest, newest.algorithm)

    def take_adopted(self) -> list[Published]:
        """Return the batches that were found published but not recorded since the last time, of either stream."""
        found = [self._adopted[key] for key in sorted(self._adopted)]
        self._adopted.clear()
        return found

    def settle(self, manifest: Manifest, stream: Stream) -> Manifest:
        """Bring a stream's head in line with its ledger and folders after a crash; what is found can be taken once saved.

        A crash leaves the batches of one round that were published but not recorded, and as many lines that the manifest
        lacks; a running set's rounds are of one batch, see ADR 0027. A manifest from a backup lacks any number of lines, and
        perhaps segments.
        """
        ledger = self.ledgers[stream]
        ledger.repair()
        if manifest.origin is not None:
            self.restore_ledger(manifest, stream)
        lacking = ledger.after(manifest.head(stream).stands_at)
        manifest = self._with_segments(manifest, max((entry.segment for entry in lacking), default=0))
        for place, entry in enumerate(lacking, -len(lacking)):
            manifest = self._recorded(manifest, stream, entry, told=place >= -_ADOPTED)
        if manifest.origin is None:
            return manifest
        if found := list(self._unrecorded(manifest, stream)):
            sync_folder(self.layout.stream(stream))  # the crash may have come before the names were durable
            ledger.append(*found)
        for entry in found:
            manifest = self._recorded(manifest, stream, entry)
        return manifest

    def _unrecorded(self, manifest: Manifest, stream: Stream) -> Iterator[BatchEntry]:
        """Yield the lines for the batches that were published from where the stream stands on."""
        number, moment, segments = (
            manifest.head(stream).next_batch,
            manifest.head(stream).stands_at,
            self.segments(manifest),
        )
        while (entry := published_batch(self.layout, stream, batch_id(moment), number, segments)) is not None:
            if entry.batch_number != number:
                return
            yield entry
            number, moment = number + 1, entry.interval.end

    def _rebuild(self) -> Manifest | None:
        manifest = rebuild(self.layout, system_now(), self.progress)
        self.rebuilds += manifest is not None
        return manifest

    def restore_ledger(self, manifest: Manifest, stream: Stream) -> None:
        """Write a ledger that was lost, or lost lines, anew from the folders; needs the manifest's lock."""
        last = self.ledgers[stream].last()
        head = manifest.head(stream)
        start = self._origin(manifest, self.segments(manifest)[0])[stream].start
        if head.stands_at > (last.interval.end if last else start):
            complete_ledger(self.layout, stream, start, head.stands_at, self.segments(manifest), self.progress)

    def keep_ledger(self, manifest: Manifest, stream: Stream) -> None:
        """Restore a ledger whose file was deleted while the set runs; needs the manifest's lock.

        Raises DatasetChanged where the ledger has lines that the manifest lacks: settle it first.
        """
        if not self.ledgers[stream].path.exists():
            self.restore_ledger(manifest, stream)
        elif self.is_behind(manifest, stream):
            raise DatasetChanged

    def is_behind(self, manifest: Manifest, stream: Stream) -> bool:
        """Whether a stream's ledger has lines that a manifest lacks."""
        last = self.ledgers[stream].last()
        return last is not None and last.interval.end > manifest.head(stream).stands_at

    def _with_segments(self, manifest: Manifest, newest: int) -> Manifest:
        """Return a manifest that knows the segments of lines that it lacks, up to the newest, from their files."""
        for number in range(len(manifest.segments) + 1, newest + 1):
            self._segment(manifest.dataset_id, number)  # refuses one of another dataset
            entry = segment_entry(read_segment(self.layout.segment(number)))
            manifest = manifest.updated(segments=(*manifest.segments, entry))
        return manifest

    def _recorded(
        self, manifest: Manifest, stream: Stream, entry: BatchEntry | GapEntry, told: bool = True
    ) -> Manifest:
        clock = recording.clock_of(self.layout, stream, entry) if told and isinstance(entry, BatchEntry) else None
        published_at = clock[-1] if clock else None
        head = recording.head_after(manifest.head(stream), stream, entry, published_at, late=False)
        if isinstance(entry, BatchEntry) and clock:
            settings = segment_of(self.segments(manifest), stream, entry.batch_number).settings
            self._adopted[stream, entry.batch_number] = adopted(stream, entry, head, clock, settings)
        return manifest.with_head(stream, head)

    def _open_segment(self, manifest: Manifest, config: Config, at: int) -> Manifest:
        companies, events = manifest.head(Stream.COMPANIES), manifest.head(Stream.EVENTS)
        segment = Segment(
            number=len(manifest.segments) + 1,
            instant=at,
            algorithm=ALGORITHM,
            first_company_batch=companies.next_batch,
            first_company=companies.next_company,
            first_event_batch=events.next_batch,
            settings=config.settings(self._seed(manifest, config)),
        )
        write_segment(self.layout.segment(segment.number), segment, config, manifest.dataset_id)
        entry = SegmentEntry(
            number=segment.number,
            instant=at,
            algorithm=ALGORITHM,
            digest=digest(segment.settings),
            first_company_batch=segment.first_company_batch,
            first_company=segment.first_company,
            first_event_batch=segment.first_event_batch,
        )
        self._segments[manifest.dataset_id, segment.number] = segment
        return manifest.updated(segments=(*manifest.segments, entry))

    def _segment(self, dataset_id: str, number: int) -> Segment:
        if (dataset_id, number) not in self._segments:
            path = self.layout.segment(number)
            record = read_segment(path)
            if record.segment.dataset_id != dataset_id:
                raise ManifestError(f"{path} belongs to another dataset. Restore the right one or clean the data.")
            self._segments[dataset_id, number] = record.value()
        return self._segments[dataset_id, number]

    @staticmethod
    def _origin(manifest: Manifest, first: Segment) -> dict[Stream, Interval]:
        """Return the first interval of each stream of a dataset that has begun."""
        companies, events = (first.settings.interval_seconds(each) * SECOND for each in Stream)
        starts = origin_starts(manifest.origin or first.instant, companies, events)
        steps = zip(Stream, starts, (companies, events), strict=True)
        return {stream: Interval(start, start + step) for stream, start, step in steps}

    @staticmethod
    def _seed(manifest: Manifest, config: Config) -> int:
        seed = config.seed if config.seed is not None else manifest.drawn_seed
        if seed is None:
            raise ManifestError("The manifest records no seed, and the configuration names none.")
        return seed
