"""Owns the bytes of a record: turns columns into JSON Lines, a chunk of rows at a time, without an object per record.

A line is laid out as a few runs of bytes; each run of all rows of a chunk is written by one assignment through a view of
the output that has a window at every byte (`_place`). The rows of one assignment have one width, so rows whose numbers
have more digits go in an assignment of their own. What the columns say is decided in `companies` and `drivers`.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.companies import CompanyColumns, Fleet
from fleetgen.domain.drivers import EventColumns
from fleetgen.domain.records import SECOND, Interval, utc

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

CHUNK_ROWS = 8192
"""Rows encoded at a time; their lines stay in the processor's cache. Any number gives the same bytes."""

_UUID_DASHES = (2, 3, 4, 5)
"""The pieces of 16 bits before which a UUID's text has a dash."""
_UUID_LAYOUT = [
    field
    for piece in range(8)
    for field in ([(f"dash{piece}", "u1")] if piece in _UUID_DASHES else []) + [(f"piece{piece}", "u4")]
]
_UUID_WIDTH = 36
_STAMP_LAYOUT = [("date", "V11"), ("minute", "V6"), ("second", "u2"), ("milli", "u4"), ("micro", "u4")]
_STAMP_WIDTH = len("2026-01-31T12:00:00.000000Z")
_DAY = 86_400
_DRIVER_DIGITS = 3
_TRUCK_DIGITS = 4
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
        heads = _joined(COMPANY_START, uuid_text(columns.ids[rows]))
        stamps = stamp_text(interval, columns.seconds[rows], columns.microseconds[rows])
        yield _lines(heads, [_constants(middles, kinds[rows])], _joined(stamps, LINE_END))


def encode_events(
    columns: EventColumns, fleet: Fleet, drivers_per_company: int, interval: Interval, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Bytes]:
    """Yield the lines of a block of events, ``chunk_rows`` lines at a time."""
    types = [EVENT_TYPE % name.encode() for name in columns.type_names]
    for rows in _chunks(len(columns), chunk_rows):
        heads = _joined(EVENT_START, uuid_text(columns.ids[rows]))
        stamps = stamp_text(interval, columns.seconds[rows], columns.microseconds[rows])
        drivers = _driver_text(columns.drivers[rows], fleet, drivers_per_company)
        yield _lines(heads, [drivers, _constants(types, columns.types[rows])], _joined(stamps, LINE_END))


class _Run:
    """One run of bytes for each of n rows, in groups of rows whose runs are equally wide."""

    def __init__(self, count: int) -> None:
        self.widths = np.zeros(count, np.int64)
        self.groups: list[tuple[Offsets | slice, NDArray[np.void]]] = []

    def add(self, rows: Offsets | slice, text: NDArray[np.void]) -> None:
        """Give these rows their bytes: ``text`` has an item for each row, or one for all."""
        self.widths[rows] = text.dtype.itemsize
        self.groups.append((rows, text))


def _chunks(count: int, chunk_rows: int) -> Iterator[slice]:
    return (slice(first, min(first + chunk_rows, count)) for first in range(0, count, chunk_rows))


def _lines(heads: NDArray[np.void], middles: Sequence[_Run], tails: NDArray[np.void]) -> Bytes:
    """Lay the runs of each row one behind the other, and the rows likewise."""
    fixed = heads.dtype.itemsize + tails.dtype.itemsize
    widths = sum((run.widths for run in middles), np.full(len(heads), fixed))
    ends = np.cumsum(widths)
    out = np.empty(int(ends[-1]), np.uint8)
    at = ends - widths
    _place(out, at, heads)
    at += heads.dtype.itemsize
    for run in middles:
        for rows, text in run.groups:
            _place(out, at[rows], text)
        at += run.widths
    _place(out, at, tails)
    return out


def _place(out: Bytes, at: Offsets, text: NDArray[np.void]) -> None:
    """Write item i of ``text`` to ``out`` from byte ``at[i]`` on."""
    width = text.dtype.itemsize
    windows = np.ndarray((out.size - width + 1,), f"V{width}", buffer=out.data, strides=(1,))
    windows[at] = text


def _joined(*parts: bytes | NDArray[np.void]) -> NDArray[np.void]:
    """Return each row's parts side by side; constant bytes stand in every row."""
    count = next(len(part) for part in parts if not isinstance(part, bytes))
    formats = [f"V{len(part)}" if isinstance(part, bytes) else f"V{part.dtype.itemsize}" for part in parts]
    joined = np.empty(count, [(f"part{place}", width) for place, width in enumerate(formats)])
    for place, part in enumerate(parts):
        joined[f"part{place}"] = np.void(part) if isinstance(part, bytes) else part
    return joined.view(f"V{joined.dtype.itemsize}")


def _constants(texts: Sequence[bytes], choices: NDArray[np.uint8]) -> _Run:
    """Return the run in which each row has the text that its choice names."""
    run = _Run(len(choices))
    for choice, text in enumerate(texts):
        rows = np.flatnonzero(choices == choice)
        if len(rows):
            run.add(rows, np.frombuffer(text, f"V{len(text)}"))
    return run


def _driver_text(drivers: Offsets, fleet: Fleet, drivers_per_company: int) -> _Run:
    """Return the run from the driver's id to the truck's; ``drivers`` are ascending places in the fleet."""
    fresh = np.ones(len(drivers), np.bool_)
    fresh[1:] = drivers[1:] != drivers[:-1]
    which = np.cumsum(fresh) - 1
    positions, numbers = np.divmod(drivers[fresh], drivers_per_company)
    trucks = fleet.numbers[positions] * TRUCKS_PER_COMPANY + numbers
    companies = uuid_text(fleet.ids[positions])
    run = _Run(len(drivers))
    for seed, driver_digits, truck_digits, members in _alike(fleet, positions, numbers, trucks):
        text = _joined(
            EVENT_DRIVER,
            companies[members],
            b"-",
            _digits(numbers[members], driver_digits),
            EVENT_COMPANY,
            companies[members],
            EVENT_TRUCK % seed,
            _digits(trucks[members], truck_digits),
        )
        if len(members) == len(numbers):
            run.add(slice(None), text[which])
        else:
            place = np.full(len(numbers), -1)
            place[members] = np.arange(len(members))
            rows = np.flatnonzero(place[which] >= 0)
            run.add(rows, text[place[which[rows]]])
    return run


def _alike(
    fleet: Fleet, positions: Offsets, numbers: Offsets, trucks: Offsets
) -> Iterator[tuple[int, int, int, Offsets]]:
    """Yield the drivers whose text has the same shape: base seed, digits of driver and truck, and which they are."""
    firsts = np.array([first for first, _ in fleet.base_seeds])
    seed_runs = np.searchsorted(firsts, positions, side="right") - 1
    shapes = (seed_runs * 32 + _digit_count(numbers, _DRIVER_DIGITS)) * 32 + _digit_count(trucks, _TRUCK_DIGITS)
    for shape in np.unique(shapes).tolist():
        seed_run, digits = divmod(shape, 32 * 32)
        yield fleet.base_seeds[seed_run][1], digits // 32, digits % 32, np.flatnonzero(shapes == shape)


def _digit_count(numbers: Offsets, least: int) -> Offsets:
    limits = np.array([10**digits for digits in range(least, 19)])
    return np.searchsorted(limits, numbers, side="right") + least


def _digits(numbers: Offsets, width: int) -> NDArray[np.void]:
    """Return whole numbers as zero-padded decimal text of this width."""
    powers = 10 ** np.arange(width - 1, -1, -1)
    text = (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)
    return text.view(f"V{width}").reshape(-1)


def uuid_text(pieces: NDArray[np.uint16]) -> NDArray[np.void]:
    """Return UUIDs given as (n, 8) pieces of 16 bits as text of 36 bytes."""
    text: NDArray[Any] = np.empty(len(pieces), _UUID_LAYOUT)
    table = _hexadecimal()
    for piece in range(8):
        text[f"piece{piece}"] = table[pieces[:, piece]]
    for dash in _UUID_DASHES:
        text[f"dash{dash}"] = ord("-")
    return text.view(f"V{_UUID_WIDTH}")


def stamp_text(interval: Interval, seconds: Offsets, microseconds: Offsets) -> NDArray[np.void]:
    """Return instants, counted from the interval's start, as ISO 8601 text with six decimals and Z, 27 bytes."""
    days, of_day = np.divmod(interval.start // SECOND + seconds, _DAY)
    minutes, of_minute = np.divmod(of_day, 60)
    milliseconds, of_millisecond = np.divmod(microseconds, 1000)
    text = np.empty(len(seconds), _STAMP_LAYOUT)
    first_day = interval.start // SECOND // _DAY
    text["date"] = _dates(first_day, (interval.end // SECOND - 1) // _DAY)[days - first_day]
    text["minute"] = _minutes()[minutes]
    text["second"] = _seconds()[of_minute]
    text["milli"] = _thousand(".{:03d}")[milliseconds]
    text["micro"] = _thousand("{:03d}Z")[of_millisecond]
    return text.view(f"V{_STAMP_WIDTH}")


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
def _minutes() -> NDArray[np.void]:
    """Return the text of the minutes of a day, such as 23:59: with the colon that follows."""
    return np.frombuffer("".join(f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)).encode(), "V6")


@cache
def _seconds() -> NDArray[np.uint16]:
    return np.frombuffer("".join(f"{second:02d}" for second in range(60)).encode(), np.uint16)


@cache
def _thousand(form: str) -> NDArray[np.uint32]:
    return np.frombuffer("".join(form.format(number) for number in range(1000)).encode(), np.uint32)


def _dates(first_day: int, last_day: int) -> NDArray[np.void]:
    days = range(first_day, last_day + 1)
    return np.frombuffer("".join(f"{utc(day * _DAY * SECOND):%Y-%m-%dT}" for day in days).encode(), "V11")
