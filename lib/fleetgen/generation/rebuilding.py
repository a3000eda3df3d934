"""Owns making a lost or damaged manifest anew from the segments, the ledgers and, where those are lost, the folders."""

from collections.abc import Iterator, Sequence
from itertools import islice

from fleetgen.cadence.schedule import origin_starts
from fleetgen.config.segments import SegmentRecord, read_segment
from fleetgen.domain.records import SECOND, Interval, Segment, Stream, batch_id, instant, is_batch_id, iso
from fleetgen.errors import ManifestError
from fleetgen.generation.summing import head_of
from fleetgen.generation.working_out import published_batch
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, GapEntry, Ledger
from fleetgen.storage.manifest import Head, Manifest, SegmentEntry
from fleetgen.storage.progress import Progress, names_in, unwatched

_LINES_AT_ONCE = 1000
"""So many lines of a lost ledger are made durable together."""


def rebuild(layout: Layout, at: int, progress: Progress = unwatched) -> Manifest | None:
    """Return the manifest that the other files tell, or None where there is no dataset; a lost ledger is written anew.

    A pause is not known any more and ends. Reads every ledger line once. What is written of a lost ledger stays if
    ``progress`` interrupts, and the next try goes on behind it.
    """
    records = list(_segment_records(layout))
    if not records:
        if any(_folders(layout, stream) for stream in Stream):
            raise ManifestError(
                f"{layout.manifest} and {layout.segments} are both lost: nothing tells how the batches were made. "
                "Restore one of them, or move the data away."
            )
        return None
    segments = tuple(record.value() for record in records)
    first = segments[0]
    steps = (first.settings.interval_seconds(stream) * SECOND for stream in (Stream.COMPANIES, Stream.EVENTS))
    starts = dict(zip((Stream.COMPANIES, Stream.EVENTS), origin_starts(first.instant, *steps), strict=True))
    return Manifest(
        dataset_id=records[0].segment.dataset_id,
        origin=first.instant,
        drawn_seed=records[-1].settings.seed,
        segments=tuple(segment_entry(record) for record in records),
        heads={stream: _head(layout, stream, starts[stream], segments, progress) for stream in Stream},
        rebuilt_at=at,
    )


def _segment_records(layout: Layout) -> Iterator[SegmentRecord]:
    """Yield the segments of the newest dataset, from number 1 on without a hole."""
    dataset_id: str | None = None
    number = 1
    while layout.segment(number).exists():
        record = read_segment(layout.segment(number))
        if dataset_id not in (None, record.segment.dataset_id):
            return
        dataset_id = record.segment.dataset_id
        yield record
        number += 1


def segment_entry(record: SegmentRecord) -> SegmentEntry:
    """Return what the manifest says of a segment."""
    place = record.segment
    return SegmentEntry(
        number=place.number,
        instant=instant(place.instant),
        algorithm=place.algorithm,
        digest=place.digest,
        first_company_batch=place.first_company_batch,
        first_company=place.first_company,
        first_event_batch=place.first_event_batch,
    )


def _head(layout: Layout, stream: Stream, start: int, segments: Sequence[Segment], progress: Progress) -> Head:
    complete_ledger(layout, stream, start, start, segments, progress)
    return head_of(Ledger(layout.ledger(stream)), stream, start, progress)


def complete_ledger(
    layout: Layout,
    stream: Stream,
    start: int,
    stands_at: int,
    segments: Sequence[Segment],
    progress: Progress = unwatched,
) -> None:
    """Add to a stream's ledger the lines that it lost, from the folders that lie behind its last whole line.

    What no batch covers, up to ``stands_at``, becomes a gap. A ledger without lines begins at ``start``. A line whose meta is
    damaged is worked out from the segments. Lines are made durable many at once; an interruption loses no more than those,
    and the next try goes on behind the others.
    """
    ledger = Ledger(layout.ledger(stream))
    ledger.repair()
    last = ledger.last()
    found = _found_entries(layout, stream, last, start, stands_at, segments, progress)
    written = 0
    while lines := list(islice(found, _LINES_AT_ONCE)):
        ledger.append(*lines)
        written += len(lines)
        progress(f"{written:,} lines of the ledger of {stream} are written anew from the batches' metas")


def _found_entries(
    layout: Layout,
    stream: Stream,
    last: BatchEntry | GapEntry | None,
    start: int,
    stands_at: int,
    segments: Sequence[Segment],
    progress: Progress,
) -> Iterator[BatchEntry | GapEntry]:
    """Yield the lines that follow on the ledger's last one."""
    reached, companies = (last.interval.end, last.company_count) if last else (start, 0)
    number = max((each.batch_number + 1 for each in Ledger(layout.ledger(stream)).newest_batches(1)), default=0)
    entry: BatchEntry | None = None
    for name in _folders(layout, stream, batch_id(reached), progress):
        found = published_batch(layout, stream, name, number, segments) if name >= batch_id(reached) else None
        if found is None:
            continue
        entry, number = found, found.batch_number + 1
        if entry.interval.start > reached:
            yield _gap(Interval(reached, entry.interval.start), entry, companies)
        yield entry
        reached = entry.interval.end
        companies = entry.company_count if stream is Stream.COMPANIES else companies
    if stands_at > reached and (neighbour := entry or last) is not None:
        yield _gap(Interval(reached, stands_at), neighbour, companies)


def _gap(span: Interval, neighbour: BatchEntry | GapEntry, companies: int) -> GapEntry:
    length = neighbour.interval.end - neighbour.interval.start
    return GapEntry(
        start=iso(span.start),
        end=iso(span.end),
        segment=neighbour.segment,
        company_count=companies,
        reason="downtime",
        intervals=max(1, (span.end - span.start) // length),
    )


def _folders(layout: Layout, stream: Stream, first: str = "", progress: Progress = unwatched) -> list[str]:
    """Return the names of a stream's batches from one on, oldest first; what people put beside them is left out."""
    folder = layout.stream(stream)
    names = (name for name in names_in(folder, progress) if name >= first and is_batch_id(name))
    return sorted(name for name in names if (folder / name).is_dir())
