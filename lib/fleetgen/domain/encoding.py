"""Owns the bytes of a record: turns columns into JSON Lines, a chunk of rows at a time, without an object per record.

A line is laid out as a few runs of bytes; each run of all rows of a chunk is written by one assignment through a view
of the output that has a window at every byte (`_place`). The rows of one assignment have one width, so rows whose
numbers have more digits go in an assignment of their own. What all events of a driver share is laid out once per
driver, with a hole for the event's id. What the columns say is decided in `companies` and `drivers`.
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.companies import CompanyColumns, Fleet
from fleetgen.domain.drivers import EventColumns
from fleetgen.domain.records import SECOND, Interval

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Text = NDArray[np.void]
"""(n,): a row's bytes per item, all rows equally wide."""

CHUNK_ROWS = 8192
"""About so many rows are encoded at a time: their lines stay near the processor. Any number gives the same bytes."""

_UUID_HOLE = b"00000000-0000-0000-0000-000000000000"
_UUID_DIGITS = ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 8), (28, 32, 4))
"""Runs of digits between the dashes: place without dashes, place with them, width."""
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


def encode_companies(columns: CompanyColumns, interval: Interval, chunk_rows: int = CHUNK_ROWS) -> Iterator[Bytes]:
    """Yield the lines of a block of companies, ``chunk_rows`` lines at a time."""
    middles = [
        COMPANY_MIDDLE % (name.encode(), flag) for name in columns.geography_names for flag in (b"false", b"true")
    ]
    kinds = columns.geographies * np.uint8(2) + columns.active
    for rows in _chunks(len(columns), chunk_rows):
        heads = _uniform(_joined(COMPANY_START, uuid_text(columns.ids[rows])))
        tails = _tails(interval, columns.seconds[rows], columns.microseconds[rows])
        yield _lines([heads, _constants(middles, kinds[rows]), tails])


def encode_events(
    columns: EventColumns, fleet: Fleet, drivers_per_company: int, interval: Interval, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Bytes]:
    """Yield the lines of a block of events, ``chunk_rows`` lines at a time."""
    types = [EVENT_TYPE % name.encode() for name in columns.type_names]
    for rows in _chunks(len(columns), chunk_rows):
        heads = _event_heads(columns.ids[rows], columns.drivers[rows], fleet, drivers_per_company)
        tails = _tails(interval, columns.seconds[rows], columns.microseconds[rows])
        yield _lines([heads, _constants(types, columns.types[rows]), tails])


class _Run:
    """One run of bytes for each of n rows, in groups of rows whose runs are equally wide."""

    def __init__(self, count: int) -> None:
        self.widths = np.zeros(count, np.int64)
        self.groups: list[tuple[Offsets | slice, Text]] = []

    def add(self, rows: Offsets | slice, text: Text) -> None:
        """Give these rows their bytes: ``text`` has an item for each row, or one for all."""
        self.widths[rows] = text.dtype.itemsize
        self.groups.append((rows, text))


def _chunks(count: int, chunk_rows: int) -> Iterator[slice]:
    """Divide rows evenly: a few rows left over would cost as many calls as a whole chunk."""
    chunks = max(1, round(count / chunk_rows)) if count else 0
    return (slice(count * chunk // chunks, count * (chunk + 1) // chunks) for chunk in range(chunks))


def _lines(runs: Sequence[_Run]) -> Bytes:
    """Lay the runs of each row one behind the other, and the rows likewise."""
    widths = np.sum([run.widths for run in runs], axis=0)
    ends = np.cumsum(widths)
    out = np.empty(int(ends[-1]), np.uint8)
    at = ends - widths
    for run in runs:
        for rows, text in run.groups:
            _place(out, at[rows], text)
        at += run.widths
    return out


def _place(out: Bytes, at: Offsets, text: Text) -> None:
    """Write item i of ``text`` to ``out`` from byte ``at[i]`` on."""
    width = text.dtype.itemsize
    windows = np.ndarray((out.size - width + 1,), f"V{width}", buffer=out.data, strides=(1,))
    windows[at] = text


def _piece(text: Text, place: int, width: int) -> Text:
    """Return a view of so many bytes of each row from ``place`` on."""
    return np.ndarray(len(text), f"V{width}", buffer=text.data, offset=place, strides=text.strides)


def _joined(*parts: bytes | Text) -> Text:
    """Return each row's parts side by side; constant bytes stand in every row."""
    count = next(len(part) for part in parts if not isinstance(part, bytes))
    formats = [f"V{len(part)}" if isinstance(part, bytes) else f"V{part.dtype.itemsize}" for part in parts]
    joined = np.empty(count, [(f"part{place}", width) for place, width in enumerate(formats)])
    for place, part in enumerate(parts):
        joined[f"part{place}"] = np.void(part) if isinstance(part, bytes) else part
    return joined.view(f"V{joined.dtype.itemsize}")


def _uniform(text: Text) -> _Run:
    """Return the run of rows that are all equally wide."""
    run = _Run(len(text))
    run.add(slice(None), text)
    return run


def _constants(texts: Sequence[bytes], choices: NDArray[np.uint8]) -> _Run:
    """Return the run in which each row has the text that its choice names."""
    run = _Run(len(choices))
    for choice, text in enumerate(texts):
        rows = np.flatnonzero(choices == choice)
        if len(rows):
            run.add(rows, np.frombuffer(text, f"V{len(text)}"))
    return run


def _event_heads(ids: NDArray[np.uint16], drivers: Offsets, fleet: Fleet, drivers_per_company: int) -> _Run:
    """Return the run from a line's start to the truck; ``drivers`` are ascending places in the fleet."""
    run = _Run(len(drivers))
    distinct, which = _distinct(drivers)
    positions = distinct // drivers_per_company
    numbers = distinct - positions * drivers_per_company
    shapes = _shapes(fleet, positions, numbers)
    for shape in np.unique(shapes).tolist():
        alike = shapes == shape
        rows = slice(None) if alike.all() else np.flatnonzero(alike[which])
        shared = _shared_text(fleet, positions[alike], numbers[alike])
        heads = shared.take((np.cumsum(alike) - 1)[which[rows]])
        _write_uuids(heads, len(EVENT_START), ids[rows])
        run.add(rows, heads)
    return run


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
    digits = _decimals("{:04d}", TRUCKS_PER_COMPANY).take(numbers)
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


def _write_uuids(text: Text, place: int, pieces: NDArray[np.uint16]) -> None:
    """Write UUIDs over each row's bytes from ``place`` on, where the dashes already stand."""
    digits = _hexadecimal().take(pieces).view("V32").reshape(-1)
    for source, target, width in _UUID_DIGITS:
        _piece(text, place + target, width)[:] = _piece(digits, source, width)


def _tails(interval: Interval, seconds: Offsets, microseconds: Offsets) -> _Run:
    """Return the run from a line's instant, ISO 8601 with six decimals and Z, to its end."""
    seconds = seconds + interval.start // SECOND % 60
    minutes = seconds // 60
    milliseconds = microseconds // 1000
    text = _joined(
        _minutes(interval).take(minutes),
        _decimals(":{:02d}.", 60).take(seconds - minutes * 60),
        _decimals("{:03d}", 1000).take(milliseconds),
        _decimals("{:03d}Z", 1000).take(microseconds - milliseconds * 1000),
        LINE_END,
    )
    return _uniform(text)


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
    for place in range(4):
        text[:, place] = digits[numbers >> np.uint16(12 - 4 * place) & np.uint16(15)]
    return text.view(np.uint32).reshape(-1)


@cache
def _decimals(form: str, count: int) -> Text:
    """Return the text of the numbers below ``count`` in this form."""
    texts = [form.format(number).encode() for number in range(count)]
    return np.frombuffer(b"".join(texts), f"V{len(texts[0])}")
