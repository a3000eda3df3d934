"""Owns the bytes of a record: turns columns into JSON Lines, a chunk of rows at a time, without an object per record.

A line is a head and an ending. Both are copied from a few that are laid out beforehand, with holes for what differs from
line to line, and go to their places by one assignment through a view of the output that has a window at every byte
(`text.place`). The rows of one assignment have one width, so heads whose numbers have more digits go in an assignment of
their own. What the columns say is decided in `companies` and `drivers`.
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.companies import CompanyColumns, Fleet
from fleetgen.domain.drivers import EventColumns
from fleetgen.domain.records import SECOND, Interval
from fleetgen.domain.text import Lines, Offsets, Text, decimals, place

CHUNK_ROWS = 8192
"""About so many rows are encoded at a time: their lines stay near the processor. Any number gives the same bytes."""

_UUID_HOLE = b"00000000-0000-0000-0000-000000000000"
_INSTANT_HOLE = b"0000-00-00T00:00:00.000000Z"
_UUID_DIGITS = ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 8), (28, 32, 4))
"""Runs of digits between the dashes: place without dashes, place with them, width."""
_RUNS = [f"V{width}" for _, _, width in _UUID_DIGITS]
_NAMES = [f"run{number}" for number in range(len(_RUNS))]
_UNDASHED, _DASHED = (
    np.dtype({"names": _NAMES, "formats": _RUNS, "offsets": offsets, "itemsize": length})
    for offsets, length in (([at for at, _, _ in _UUID_DIGITS], 32), ([at for _, at, _ in _UUID_DIGITS], 36))
)
"""The same runs as fields of one row."""
_FEW_ROWS = 1024
"""Up to so many rows, one assignment of all runs is faster than one for each."""
_DRIVER_DIGITS = 3
"""Least digits of a driver's number; a number from 1000 on has four."""
_POWERS_OF_TEN = 10 ** np.arange(19)
TRUCKS_PER_COMPANY = 10_000
"""A truck's number is its company's number x this + its driver's number."""

COMPANY_START = b'{"company_id":"'
COMPANY_MIDDLE = b'","geography":"%b","active":%b,"created_at":"'
EVENT_START = b'{"event_id":"'
EVENT_DRIVER = b'","driver_id":"DRV-'
EVENT_COMPANY = b'","company_id":"'
EVENT_TRUCK = b'","truck_id":"TRK-%d-'
EVENT_TYPE = b'","event_type":"%b","timestamp":"'
LINE_END = b'"}\n'


def encode_companies(columns: CompanyColumns, interval: Interval, chunk_rows: int = CHUNK_ROWS) -> Iterator[Lines]:
    """Yield the lines of a block of companies, ``chunk_rows`` lines at a time."""
    flags = (b"false", b"true")
    endings = _Endings([COMPANY_MIDDLE % (name.encode(), flag) for name in columns.geography_names for flag in flags])
    kinds = columns.geographies * np.uint8(2) + columns.active
    for rows in _chunks(len(columns), chunk_rows):
        heads = _joined(COMPANY_START, uuid_text(columns.ids[rows]))
        yield _lines(
            [(0, slice(None), heads)], endings, kinds[rows], interval, columns.seconds[rows], columns.microseconds[rows]
        )


def encode_events(
    columns: EventColumns, fleet: Fleet, drivers_per_company: int, interval: Interval, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Lines]:
    """Yield the lines of a block of events, ``chunk_rows`` lines at a time."""
    endings = _Endings([EVENT_TYPE % name.encode() for name in columns.type_names])
    begins = _EventHeads(columns.drivers, fleet, drivers_per_company)
    for rows in _chunks(len(columns), chunk_rows):
        heads = begins.heads(rows, columns.ids[rows])
        yield _lines(heads, endings, columns.types[rows], interval, columns.seconds[rows], columns.microseconds[rows])


Heads = Sequence[tuple[int, Offsets | slice, Text]]
"""What lines begin with, in groups of one shape, each row in one of them: the shape's number, the rows, their heads."""


class _Endings:
    """What lines end with: one of a few texts, an instant, the line's end.

    All are laid out as wide as the widest, with blanks before the shorter ones, so that an instant has one place.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        widest = max(map(len, texts))
        whole = [text.rjust(widest) + _INSTANT_HOLE + LINE_END for text in texts]
        self.templates = np.frombuffer(b"".join(whole), f"V{len(whole[0])}")
        self.widths = np.array([len(text) + len(_INSTANT_HOLE + LINE_END) for text in texts])
        """Bytes of each without the blanks."""

    def of(
        self, choices: NDArray[np.uint8], interval: Interval, seconds: Offsets, microseconds: Offsets
    ) -> tuple[Text, Offsets]:
        """Return the endings of some rows, and how wide each is."""
        indices = choices.astype(np.intp)
        text = self.templates.take(indices)
        _write_instants(text, text.itemsize - len(_INSTANT_HOLE + LINE_END), interval, seconds, microseconds)
        return text, self.widths.take(indices)


def _chunks(count: int, chunk_rows: int) -> Iterator[slice]:
    """Divide rows evenly: a few rows left over would cost as many calls as a whole chunk."""
    chunks = max(1, round(count / chunk_rows)) if count else 0
    return (slice(count * chunk // chunks, count * (chunk + 1) // chunks) for chunk in range(chunks))


def _lines(
    heads: Heads,
    endings: _Endings,
    choices: NDArray[np.uint8],
    interval: Interval,
    seconds: Offsets,
    microseconds: Offsets,
) -> Lines:
    """Lay the head and the ending of each row one behind the other, and the rows likewise.

    The heads come last: an ending's blanks fall on its own head, which is wider than they are.
    """
    text, ending_widths = endings.of(choices, interval, seconds, microseconds)
    shapes, head_widths = np.empty((2, len(choices)), np.int64)
    for shape, rows, head in heads:
        shapes[rows], head_widths[rows] = shape, head.itemsize
    widths = head_widths + ending_widths
    ends = np.cumsum(widths)
    out = np.empty(int(ends[-1]), np.uint8)
    place(out, ends - text.itemsize, text)
    for _, rows, head in heads:
        place(out, (ends - widths)[rows], head)
    return Lines(out, ends, shapes * len(endings.widths) + choices)


def _piece(text: Text, at: int, width: int) -> Text:
    """Return a view of so many bytes of each row from ``at`` on."""
    return np.ndarray(len(text), f"V{width}", buffer=text.data, offset=at, strides=text.strides)


def _joined(*parts: bytes | Text) -> Text:
    """Return each row's parts side by side; constant bytes stand in every row."""
    count = next(len(part) for part in parts if not isinstance(part, bytes))
    formats = [f"V{len(part)}" if isinstance(part, bytes) else f"V{part.dtype.itemsize}" for part in parts]
    joined = np.empty(count, [(f"part{number}", width) for number, width in enumerate(formats)])
    for number, part in enumerate(parts):
        joined[f"part{number}"] = np.void(part) if isinstance(part, bytes) else part
    return joined.view(f"V{joined.dtype.itemsize}")


class _EventHeads:
    """What the events of a block begin with, up to the truck: laid out once for each driver, with a hole for the id."""

    def __init__(self, drivers: Offsets, fleet: Fleet, drivers_per_company: int) -> None:
        distinct, self._which = _distinct(drivers)
        positions = distinct // drivers_per_company
        numbers = distinct - positions * drivers_per_company
        distinct_shapes, self._shapes = np.unique(_shapes(fleet, positions, numbers), return_inverse=True)
        alike = [np.flatnonzero(self._shapes == shape) for shape in range(len(distinct_shapes))]
        self._texts = [_shared_text(fleet, positions[each], numbers[each]) for each in alike]
        self._places = np.empty(len(distinct), np.intp)
        """Where among those of its shape a driver's text stands."""
        for each in alike:
            self._places[each] = np.arange(len(each))

    def heads(self, rows: slice, ids: NDArray[np.uint16]) -> Heads:
        """Return what these rows begin with; ``ids`` are theirs."""
        which = self._which[rows]
        if len(self._texts) == 1:
            return [(0, slice(None), _with_ids(self._texts[0].take(which), ids))]
        shapes, places = self._shapes[which], self._places[which]
        groups = [(shape, np.flatnonzero(shapes == shape)) for shape in range(len(self._texts))]
        return [
            (shape, alike, _with_ids(self._texts[shape].take(places[alike]), ids[alike]))
            for shape, alike in groups
            if len(alike)
        ]


def _with_ids(heads: Text, ids: NDArray[np.uint16]) -> Text:
    _write_uuids(heads, len(EVENT_START), ids)
    return heads


def _distinct(ascending: Offsets) -> tuple[Offsets, Offsets]:
    """Return the distinct values, and for each item which of them it is."""
    fresh = np.ones(len(ascending), np.bool_)
    fresh[1:] = ascending[1:] != ascending[:-1]
    return ascending[fresh], np.cumsum(fresh) - 1


def _shapes(fleet: Fleet, positions: Offsets, numbers: Offsets) -> Offsets:
    """Return a number for each driver that tells seeds and widths apart: drivers alike in it have equally wide text."""
    digits = np.searchsorted(_POWERS_OF_TEN, fleet.numbers[positions], side="right")
    shapes: Offsets = (_seed_runs(fleet, positions) * 32 + digits) * 2 + (numbers >= 10**_DRIVER_DIGITS)
    return shapes


def _seed_runs(fleet: Fleet, positions: Offsets) -> Offsets:
    """Return for each position in the fleet the index of its base seed."""
    return np.searchsorted([first for first, _ in fleet.base_seeds], positions, side="right") - 1


def _shared_text(fleet: Fleet, positions: Offsets, numbers: Offsets) -> Text:
    """Return what all events of each driver begin with, zeros for their ids; the drivers are of one shape."""
    companies, which = _distinct(positions)
    uuids = uuid_text(fleet.ids[companies])
    _, seed = fleet.base_seeds[_seed_runs(fleet, companies[:1])[0]]
    before = _joined(EVENT_START, _UUID_HOLE, EVENT_DRIVER, uuids, b"-")
    after = _joined(EVENT_COMPANY, uuids, EVENT_TRUCK % seed, *_digits(fleet.numbers[companies]))
    digits = decimals("{:04d}", TRUCKS_PER_COMPANY).take(numbers)
    driver = digits if numbers[0] >= 10**_DRIVER_DIGITS else _piece(digits, 1, _DRIVER_DIGITS)
    return _joined(before.take(which), driver, after.take(which), digits)


def _digits(numbers: Offsets) -> list[Text]:
    """Return the decimal digits of whole numbers of equal length, the first digit first; 0 has none."""
    digits: list[Text] = []
    while numbers[0]:
        digits.insert(0, (numbers % 10 + ord("0")).astype(np.uint8).view("V1"))
        numbers = numbers // 10
    return digits


def uuid_text(pieces: NDArray[np.uint16]) -> Text:
    """Return UUIDs given as (n, 8) pieces of 16 bits as text of 36 bytes."""
    text = np.full(len(pieces), np.void(_UUID_HOLE))
    _write_uuids(text, 0, pieces)
    return text


def _write_uuids(text: Text, at: int, pieces: NDArray[np.uint16]) -> None:
    """Write UUIDs over each row's bytes from ``at`` on, where the dashes already stand."""
    digits = _hexadecimal().take(pieces).view("V32").reshape(-1)
    if len(text) <= _FEW_ROWS:
        np.ndarray(len(text), _DASHED, buffer=text.data, offset=at, strides=text.strides)[:] = digits.view(_UNDASHED)
        return
    for source, target, width in _UUID_DIGITS:
        _piece(text, at + target, width)[:] = _piece(digits, source, width)


def _write_instants(text: Text, at: int, interval: Interval, seconds: Offsets, microseconds: Offsets) -> None:
    """Write instants, ISO 8601 with six decimals and Z, over each row's bytes from ``at`` on."""
    seconds = seconds + interval.start // SECOND % 60
    minutes = seconds // 60
    milliseconds = microseconds // 1000
    _piece(text, at, 16)[:] = _minutes(interval).take(minutes)
    _piece(text, at + 16, 4)[:] = decimals(":{:02d}.", 60).take(seconds - minutes * 60)
    _piece(text, at + 20, 4)[:] = decimals("{:03d}0", 1000).take(milliseconds)  # 4 bytes are faster than 3
    _piece(text, at + 23, 4)[:] = decimals("{:03d}Z", 1000).take(microseconds - milliseconds * 1000)


@lru_cache(maxsize=2)
def _minutes(interval: Interval) -> Text:
    """Return the text of each minute of an interval, such as 2026-01-31T23:59, beginning with the one it starts in."""
    first, last = interval.start // SECOND // 60, (interval.end // SECOND - 1) // 60
    minutes = np.arange(first, last + 1).astype("datetime64[m]")
    return np.datetime_as_string(minutes).astype("S16").view("V16")


@cache
def _hexadecimal() -> NDArray[np.uint32]:
    """Return the text of 0000 … ffff, four bytes each."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    numbers = np.arange(1 << 16, dtype=np.uint16)
    text = np.empty((1 << 16, 4), np.uint8)
    for digit in range(4):
        text[:, digit] = digits[numbers >> np.uint16(12 - 4 * digit) & np.uint16(15)]
    return text.view(np.uint32).reshape(-1)
