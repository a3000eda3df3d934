"""Owns making several small batches at once: neighbours of one stream are drawn and encoded as if they were one.

A hundred calls of numpy take longer than the few lines of a small batch; for fifty batches they take hardly longer than for
one. The bytes are those that `batches` makes of each by itself, which also injects the issues, batch by batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from fleetgen.domain.batches import Batch, BatchInputs, address_of, encoded_batch, make_batch
from fleetgen.domain.companies import Fleet, active_fleet, company_columns
from fleetgen.domain.drivers import Neighbours, mean_count
from fleetgen.domain.encoding import encode_companies, encode_events
from fleetgen.domain.randomness import Purpose, Words
from fleetgen.domain.records import SECOND, Interval, Stream
from fleetgen.domain.text import Lines, Offsets
from fleetgen.errors import FleetgenError

T = TypeVar("T")

MOST_BATCHES = 64
"""The most batches that are made at once."""

_FEW_ROWS = 512
"""Lines up to which a batch is a small one."""
_MOST_BETWEEN = 1 << 16
"""Companies registered from the first to the last of neighbours."""


def is_small(inputs: BatchInputs) -> bool:
    """Whether a batch is made faster together with others."""
    settings = inputs.segment.settings
    if inputs.stream is Stream.COMPANIES:
        return settings.companies_per_batch <= _FEW_ROWS
    companies = min(inputs.company_count, settings.max_active_companies or inputs.company_count)
    return mean_count(settings, inputs.interval.seconds, companies * settings.drivers_per_company) <= _FEW_ROWS


def groups(items: Iterable[T], inputs_of: Callable[[T], BatchInputs]) -> Iterator[list[T]]:
    """Divide batches, in their order, into groups to be made at once: of so many small ones, or of a single large one.

    Where there is a fault among them, those before it come first.
    """
    group: list[T] = []
    try:
        for item in items:
            if len(group) == MOST_BATCHES or (group and not is_small(inputs_of(item))):
                yield group
                group = []
            group.append(item)
            if not is_small(inputs_of(item)):
                yield group
                group = []
    except FleetgenError:
        yield from [group] * bool(group)
        raise
    yield from [group] * bool(group)


def make_batches(several: Sequence[BatchInputs]) -> list[Batch]:
    """Return the batch that follows from each of these inputs."""
    made: dict[int, Batch] = {}
    for stream in Stream:
        places = [place for place, inputs in enumerate(several) if inputs.stream is stream]
        for group in _neighbours(several, places):
            made.update(zip(group, _made([several[place] for place in group]), strict=True))
    return [made[place] for place in range(len(several))]


def _neighbours(several: Sequence[BatchInputs], places: Iterable[int]) -> Iterator[list[int]]:
    """Yield the places of batches that follow one another and are alike in all but their number."""
    group: list[int] = []
    for place in places:
        if group and not (
            len(group) < MOST_BATCHES and _follows(several[group[0]], several[group[-1]], several[place])
        ):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _follows(first: BatchInputs, last: BatchInputs, inputs: BatchInputs) -> bool:
    return (
        is_small(inputs)
        and is_small(last)
        and inputs.segment.number == last.segment.number
        and inputs.number == last.number + 1
        and inputs.interval.start == last.interval.end
        and inputs.interval.seconds == last.interval.seconds
        and 0 <= inputs.company_count - first.company_count <= _MOST_BETWEEN
    )


def _made(group: Sequence[BatchInputs]) -> Iterable[Batch]:
    """Return each batch of neighbours."""
    make = _companies if group[0].stream is Stream.COMPANIES else _events
    return (make(group) if len(group) > 1 else None) or map(make_batch, group)


def _companies(group: Sequence[BatchInputs]) -> list[Batch]:
    settings, address, span = group[0].segment.settings, address_of(group[0]), _span(group)
    count, seconds = settings.companies_per_batch, group[0].interval.seconds
    draw = np.tile(np.arange(count, dtype=np.uint64), len(group))
    batches = np.repeat(_numbers(group), count)
    traits, ids = (
        address.at(purpose).draws_at(draw, np.zeros(1, np.uint64), batches)
        for purpose in (Purpose.COMPANY_TRAITS, Purpose.COMPANY_ID)
    )
    columns = company_columns(traits, ids, settings, seconds)
    columns = replace(columns, seconds=columns.seconds + np.repeat(_offsets(group), count))
    return _cut(group, [(count,)] * len(group), encode_companies(columns, span, len(columns)))


def _events(group: Sequence[BatchInputs]) -> list[Batch] | None:
    """Return the batches; None where one is not as small as it should be, or has too many drivers."""
    settings, seconds = group[0].segment.settings, group[0].interval.seconds
    fleet, firsts, companies = _fleets(group)
    drivers = companies * settings.drivers_per_company
    neighbours = Neighbours(address_of(group[0]), settings, seconds, _numbers(group), drivers)
    counts = neighbours.counts()
    columns = None if counts is None else neighbours.columns(counts)
    if counts is None or columns is None:
        return None
    columns = replace(
        columns,
        drivers=columns.drivers + np.repeat(firsts * settings.drivers_per_company, counts),
        seconds=columns.seconds + np.repeat(_offsets(group), counts),
    )
    rows = [(count,) if has else () for count, has in zip(counts.tolist(), drivers.tolist(), strict=True)]
    encoded = encode_events(columns, fleet, settings.drivers_per_company, _span(group), max(1, len(columns)))
    return _cut(group, rows, encoded)


def _fleets(group: Sequence[BatchInputs]) -> tuple[Fleet, Offsets, Offsets]:
    """Return the companies of all, and for each batch which is its first and how many it has: the newest of those before."""
    most = group[0].segment.settings.max_active_companies
    counts = np.array([inputs.company_count for inputs in group])
    between = int(counts[-1] - counts[0])
    fleet = active_fleet(group[0].segments, int(counts[-1]), most and most + between)
    ends = np.searchsorted(fleet.numbers, counts)
    firsts = np.maximum(0, ends - most) if most else np.zeros_like(ends)
    return fleet, firsts, ends - firsts


def _numbers(group: Sequence[BatchInputs]) -> Words:
    return np.array([inputs.number for inputs in group], np.uint64)


def _offsets(group: Sequence[BatchInputs]) -> Offsets:
    """Return how many seconds after the first each interval starts."""
    return np.array([(inputs.interval.start - group[0].interval.start) // SECOND for inputs in group])


def _span(group: Sequence[BatchInputs]) -> Interval:
    return Interval(group[0].interval.start, group[-1].interval.end)


def _cut(group: Sequence[BatchInputs], rows: Sequence[tuple[int, ...]], encoded: Iterator[Lines]) -> list[Batch]:
    """Give each batch its lines of those that were encoded in one chunk."""
    lines = next(encoded, None)
    ends = np.cumsum([sum(each) for each in rows]).tolist()
    return [
        encoded_batch(inputs, each, _ready(lines, end - sum(each), end))
        for inputs, each, end in zip(group, rows, ends, strict=True)
    ]


def _ready(lines: Lines | None, first: int, end: int) -> Callable[[int, int], Iterator[Lines]]:
    """Return what yields these rows as those of a batch's one block."""

    def encode(block: int, chunk_rows: int) -> Iterator[Lines]:
        if lines is not None and end > first:
            begin = int(lines.ends[first - 1]) if first else 0
            text = lines.text[begin : int(lines.ends[end - 1])]
            yield Lines(text, lines.ends[first:end] - begin, lines.layouts[first:end])

    return encode
