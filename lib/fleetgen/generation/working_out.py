"""Owns the ledger's line of a batch whose meta is damaged or gone: worked out from the segments, proven by the bytes.

All of a line but the clock follows from the batch's number. How many companies a batch of events reached also depends on
how long it waited for them, so the likely counts are tried until the bytes on disk follow from one.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic_core import to_json

from fleetgen.cadence.schedule import Grid, next_interval, origin_starts
from fleetgen.domain.records import ALGORITHM, SECOND, Interval, Segment, Stream, instant_of, segment_of
from fleetgen.errors import InTheWay
from fleetgen.generation import recording
from fleetgen.storage.files import replace_file
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry, Ledger

if TYPE_CHECKING:
    from fleetgen.domain.batches import BatchInputs
    from fleetgen.generation.expecting import ExpectedContent

_COUNTS_TRIED = 8


def published_batch(
    layout: Layout, stream: Stream, name: str, number: int, segments: Sequence[Segment]
) -> BatchEntry | None:
    """Return the ledger's line of the batch in a folder, as its meta tells or as worked out; None where there is no batch.

    ``number`` is the one that follows. A meta that is damaged or gone is made anew. Raises InTheWay, which names path and
    cure, where it is damaged and the files are not that batch.
    """
    damage: recording.DamagedMeta | None = None
    try:
        if (told := recording.told_entry(layout, stream, name)) is not None:
            return told
    except recording.DamagedMeta as fault:
        damage = fault
    found = _worked_out(layout, stream, name, number, segments)
    if found is None and damage is not None:
        raise InTheWay(
            f"{damage} The files beside it are not what the settings make of batch {number} either: move "
            f"{layout.batch(stream, name)} away, or restore it from a copy."
        ) from damage
    return found


def _worked_out(
    layout: Layout, stream: Stream, name: str, number: int, segments: Sequence[Segment]
) -> BatchEntry | None:
    """Return the line that the files of a batch bear out, after its meta was made anew; None if they bear out none."""
    # loaded here, for commands that look at datasets make no batches
    from fleetgen.domain.batches import make_batch
    from fleetgen.generation.expecting import expected_content, file_hash

    folder = layout.batch(stream, name)
    if not folder.is_dir() or not recording.data_files(folder, stream):
        return None
    for inputs in _likely_inputs(layout, stream, name, number, segments):
        content = expected_content(stream, make_batch(inputs))
        if {file.name: file_hash(file) for file in recording.data_files(folder, stream)} == _hashes(content):
            meta = recording.batch_meta(inputs, content.parts, content.sha256, content.issues)
            clock = recording.clock_meta(*[inputs.interval.end] * 3)
            replace_file(layout.batch_meta(stream, name), to_json(meta | clock, indent=1) + b"\n")
            return recording.ledger_entry(meta)
    return None


def _hashes(content: "ExpectedContent") -> dict[str, str]:
    return {part.file: part.sha256 for part in content.parts}


def _likely_inputs(
    layout: Layout, stream: Stream, name: str, number: int, segments: Sequence[Segment]
) -> Iterator["BatchInputs"]:
    """Yield what a batch with this number was made from, the likeliest first; nothing for another algorithm's."""
    from fleetgen.domain.batches import BatchInputs

    segment = segment_of(segments, stream, number)
    if segment.algorithm != ALGORITHM:
        return
    interval = _interval(segments, segment, stream, instant_of(name))
    for count in _company_counts(layout, stream, number, segment, interval):
        yield BatchInputs(stream, number, interval, segment, tuple(segments[: segment.number]), count)


def _interval(segments: Sequence[Segment], segment: Segment, stream: Stream, start: int) -> Interval:
    steps = [each.settings.interval_seconds(stream) * SECOND for each in segments[: segment.number][-2:]]
    first = segments[0]
    lengths = [first.settings.interval_seconds(each) * SECOND for each in (Stream.COMPANIES, Stream.EVENTS)]
    starts = dict(zip((Stream.COMPANIES, Stream.EVENTS), origin_starts(first.instant, *lengths), strict=True))
    length = first.settings.interval_seconds(stream) * SECOND
    origin = Interval(starts[stream], starts[stream] + length)
    return next_interval(start, Grid(steps[-1], segment.instant, steps[0] if len(steps) > 1 else None, origin))


def _company_counts(layout: Layout, stream: Stream, number: int, segment: Segment, interval: Interval) -> Iterator[int]:
    if stream is Stream.COMPANIES:
        made = number - segment.first_company_batch + 1
        yield segment.first_company + made * segment.settings.companies_per_batch
        return
    decided = Ledger(layout.ledger(Stream.COMPANIES)).newest_by(interval.start, _COUNTS_TRIED)
    yield from dict.fromkeys([*(entry.company_count for entry in reversed(decided)), 0])
