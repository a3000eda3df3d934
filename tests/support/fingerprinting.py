"""Owns the hashes of the first batches of a dataset that begins at a fixed instant.

Needs numpy, the domain and the schedule alone. Run as a program, it reads a JSON object with settings by name from
standard input and writes their fingerprints as JSON; its one argument is the number of rows encoded at a time.
"""

import hashlib
import json
import sys

from fleetgen.cadence.schedule import Grid, next_interval, origin_starts
from fleetgen.domain.batches import BatchInputs, make_batch
from fleetgen.domain.encoding import CHUNK_ROWS
from fleetgen.domain.records import ALGORITHM, SECOND, Interval, Quality, Segment, Settings, Stream, instant

ORIGIN = instant("2026-01-01T12:00:07Z")
"""The instant of the first start."""

BATCHES = 3
"""How many batches of each stream are hashed."""

Fingerprint = dict[str, list[str]]
"""By stream: the SHA-256 of its first batches; where issues are injected, under ``truth of`` it that of their truth."""


def fingerprint(settings: Settings, chunk_rows: int = CHUNK_ROWS) -> Fingerprint:
    """Return the hashes of the first batches of both streams."""
    segment = Segment(1, ORIGIN, ALGORITHM, 0, 0, 0, settings)
    companies = company_intervals(settings)
    made = {Stream.COMPANIES: companies[:BATCHES], Stream.EVENTS: event_intervals(settings)}
    hashes: Fingerprint = {}
    for stream, intervals in made.items():
        batches = [inputs(stream, number, interval, segment, companies) for number, interval in enumerate(intervals)]
        lines, truth = zip(*(batch_hashes(batch, chunk_rows) for batch in batches), strict=True)
        hashes[stream.value] = list(lines)
        if settings.quality is not None:
            hashes[f"truth of {stream}"] = list(truth)
    return hashes


def inputs(stream: Stream, number: int, interval: Interval, segment: Segment, companies: list[Interval]) -> BatchInputs:
    """Return a batch's inputs: events reach the companies whose interval ended by the start of their own."""
    batches = number + 1 if stream is Stream.COMPANIES else sum(each.end <= interval.start for each in companies)
    return BatchInputs(stream, number, interval, segment, (segment,), batches * segment.settings.companies_per_batch)


def batch_hashes(batch: BatchInputs, chunk_rows: int) -> tuple[str, str]:
    """Return the hashes of a batch's lines and of its truth."""
    lines, truth = hashlib.sha256(), hashlib.sha256()
    for piece in make_batch(batch).pieces(chunk_rows=chunk_rows):
        lines.update(piece.lines)
        truth.update(piece.truth)
    return lines.hexdigest(), truth.hexdigest()


def event_intervals(settings: Settings) -> list[Interval]:
    """Return the intervals of the first batches of events."""
    return _intervals(settings, Stream.EVENTS, batches=BATCHES)


def company_intervals(settings: Settings) -> list[Interval]:
    """Return the intervals of the first batches of companies, as many as the hashed batches of events can reach."""
    last_start = event_intervals(settings)[-1].start
    intervals = _intervals(settings, Stream.COMPANIES, batches=BATCHES)
    while intervals[-1].end < last_start:
        intervals = _intervals(settings, Stream.COMPANIES, batches=2 * len(intervals))
    return intervals


def _intervals(settings: Settings, stream: Stream, batches: int) -> list[Interval]:
    steps = [settings.interval_seconds(each) * SECOND for each in (Stream.COMPANIES, Stream.EVENTS)]
    starts = dict(zip((Stream.COMPANIES, Stream.EVENTS), origin_starts(ORIGIN, *steps), strict=True))
    stands_at = starts[stream]
    grid = Grid(
        settings.interval_seconds(stream) * SECOND,
        opened_at=ORIGIN,
        origin=Interval(stands_at, stands_at + settings.interval_seconds(stream) * SECOND),
    )
    intervals: list[Interval] = []
    for _ in range(batches):
        intervals.append(next_interval(stands_at, grid))
        stands_at = intervals[-1].end
    return intervals


def settings_of(values: dict[str, object]) -> Settings:
    """Return settings from their JSON form."""
    bounds, quality = values["events_per_batch"], values["quality"]
    if isinstance(bounds, list):
        values = {**values, "events_per_batch": tuple(bounds)}
    if isinstance(quality, dict):
        values = {**values, "quality": Quality(**quality)}
    return Settings(**values)  # type: ignore[arg-type]


def main() -> None:
    """Fingerprint the settings on standard input."""
    settings = {name: settings_of(values) for name, values in json.load(sys.stdin).items()}
    chunk_rows = int(sys.argv[1])
    print(json.dumps({name: fingerprint(each, chunk_rows) for name, each in settings.items()}))


if __name__ == "__main__":
    main()
