"""Owns the injection of quality issues: which records get one, which it is, what it does to the line, and its truth.

It works on the finished lines of a block, line for line: it adds and removes none, and leaves the others as they are.
All draws have addresses of their own, so the clean records beneath do not change. Decisions are made for all records at
once; only the lines that get an issue are touched one by one.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.distributions import choice_thresholds, choose
from fleetgen.domain.randomness import Address, Purpose, Words
from fleetgen.domain.records import COMPANY_FIELDS, EVENT_FIELDS, ISSUE_TYPES, SECOND, Interval, Quality, Stream, iso

REASON_CODES = {
    "missing_field": "FIELD_OMITTED",
    "null_value": "NULL_INJECTION",
    "malformed_timestamp": "TIMESTAMP_MALFORMED",
    "invalid_enum": "ENUM_INVALID",
    "duplicate": "DUPLICATE_RECORD",
    "boundary_violation": "TIMESTAMP_OUT_OF_INTERVAL",
}

WRONG_GEOGRAPHIES = (b'"XX"', b'"us"', b'"Europe"', b'"USA"', b'""')
WRONG_EVENT_TYPES = (b'"teleported"', b'"START DRIVING"', b'"stop driving"', b'"unknown"', b'""')
WRONG_WORDS = (b'"yesterday"', b'"not a timestamp"', b'"now"')

_IMPOSSIBLE = ((6, b"13"), (9, b"32"), (12, b"25"))
"""Where a quoted timestamp has its month, its day and its hour, and what none of them can be."""
MALFORMED_VARIANTS = len(_IMPOSSIBLE) + len(WRONG_WORDS) + 2

_DAY = 86_400 * SECOND
_FARTHEST_YEARS = 50
_UUID_WIDTH = 36
_TRUTH = {
    kind: b'{"line":%%d,"record_id":"%%b","issue_type":"%b","field":%%b,"original":%%b,"injected":%%b,"reason_code":"%b"}\n'
    % (kind.encode(), code.encode())
    for kind, code in REASON_CODES.items()
}
"""The line of truth for each type, with holes for what differs from issue to issue."""


@dataclass(frozen=True, slots=True)
class Corrupted:
    """A block after injection."""

    lines: bytes
    truth: bytes
    """A line of JSON for each issue, in order."""
    issues: Counter[str]
    """How many records got each type of issue."""


class _Field(NamedTuple):
    """One field of a stream's lines: its key, what ends its value, and its name as JSON."""

    key: bytes
    end: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class _Form:
    """How the lines of a stream are laid out."""

    fields: tuple[_Field, ...]
    choice_field: _Field
    wrong_choices: tuple[bytes, ...]
    time_field: _Field
    record_id: slice
    """Where the record's id stands in its line."""


def _form(names: tuple[str, ...], choice: str, wrong_choices: tuple[bytes, ...], time: str) -> _Form:
    keys = [b'"%b":' % name.encode() for name in names]
    ends = [*(b"," + key for key in keys[1:]), b"}\n"]
    fields = {name: _Field(key, end, key[:-1]) for name, key, end in zip(names, keys, ends, strict=True)}
    first = len(keys[0]) + len('{"')
    record_id = slice(first, first + _UUID_WIDTH)
    return _Form(tuple(fields.values()), fields[choice], wrong_choices, fields[time], record_id)


_FORMS = {
    Stream.COMPANIES: _form(COMPANY_FIELDS, "geography", WRONG_GEOGRAPHIES, "created_at"),
    Stream.EVENTS: _form(EVENT_FIELDS, "event_type", WRONG_EVENT_TYPES, "timestamp"),
}


class _Issue(NamedTuple):
    """One decided issue: the record's row in its block, the type, and words to draw its details from."""

    row: int
    kind: str
    field: int
    value: int
    copied_row: int
    distance: int


@dataclass(frozen=True, slots=True)
class _Issues:
    """The decided issues of a block as columns."""

    rows: NDArray[np.int64]
    kinds: list[str]
    fields: Words
    values: Words
    copied_rows: NDArray[np.int64]
    distances: Words

    def each(self) -> Iterator[_Issue]:
        """Yield them one by one, by row."""
        columns = (self.fields, self.values, self.copied_rows, self.distances)
        return map(_Issue, self.rows.tolist(), self.kinds, *(column.tolist() for column in columns))


def corrupt_block(
    lines: bytes,
    rows: int,
    first_line: int,
    stream: Stream,
    quality: Quality,
    interval: Interval,
    address: Address,
    block: int,
) -> Corrupted:
    """Inject issues into the ``rows`` clean lines of a block; ``first_line`` counts from 1 over the batch's parts."""
    form, starts = _FORMS[stream], _line_starts(lines)
    issues = _decide(rows, quality, quality.error_rate(stream), address, block)
    spans = zip(starts[issues.rows].tolist(), starts[issues.rows + 1].tolist(), strict=True)
    changed: dict[int, bytes] = {}
    truth: list[bytes] = []
    for issue, (start, end) in zip(issues.each(), spans, strict=True):
        line = lines[start:end]
        if issue.kind == "duplicate":
            source = issue.copied_row
            changed[issue.row] = changed.get(source) or lines[starts[source] : starts[source + 1]]
            described = (b"null", line[:-1], b"%d" % (first_line + source))
        else:
            changed[issue.row], described = _changed(line, issue, form, interval)
        truth.append(_TRUTH[issue.kind] % (first_line + issue.row, line[form.record_id], *described))
    return Corrupted(_spliced(lines, starts, changed), b"".join(truth), Counter(issues.kinds))


def _changed(line: bytes, issue: _Issue, form: _Form, interval: Interval) -> tuple[bytes, tuple[bytes, bytes, bytes]]:
    """Return the line with its issue, and the field, the original and the injected value as JSON."""
    field = _field(issue, form)
    start = line.index(field.key) + len(field.key)
    end = line.index(field.end, start)
    original = line[start:end]
    if issue.kind == "missing_field":
        return _without(line, start - len(field.key), end), (field.name, original, b"null")
    injected = _injected(issue, original, form, interval)
    return line[:start] + injected + line[end:], (field.name, original, injected)


def _line_starts(lines: bytes) -> NDArray[np.int64]:
    """Return where each line starts, and where the last one ends."""
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n")) + 1
    return np.concatenate((np.zeros(1, np.int64), ends))


def _spliced(lines: bytes, starts: NDArray[np.int64], changed: dict[int, bytes]) -> bytes:
    """Return the lines with the changed ones, which come in order, in their places."""
    view = memoryview(lines)
    rows = np.fromiter(changed, np.int64, len(changed))
    kept_from = [0, *starts[rows + 1].tolist()]
    kept_to = [*starts[rows].tolist(), len(lines)]
    kept = [view[first:last] for first, last in zip(kept_from, kept_to, strict=True)]
    return b"".join(chain.from_iterable(zip(kept, [*changed.values(), b""], strict=True)))


def _decide(rows: int, quality: Quality, rate: float, address: Address, block: int) -> _Issues:
    """Return the issues of a block, by row; each record's are drawn at an address of its own."""
    drawn, kind_words, fields, values = address.at(Purpose.ISSUE, block).draws(rows)
    hit: NDArray[np.bool_] = drawn < np.uint64(int(rate * 2**32))
    selected = np.flatnonzero(hit)
    names, chosen = _kinds(kind_words[selected], selected, quality)
    selected, chosen = selected[chosen >= 0], chosen[chosen >= 0]
    place, distances = _details(address, block, selected)
    return _Issues(
        rows=selected,
        kinds=[names[kind] for kind in chosen.tolist()],
        fields=fields[selected],
        values=values[selected],
        copied_rows=_copied_rows(place, selected, hit),
        distances=distances,
    )


def _details(address: Address, block: int, rows: NDArray[np.int64]) -> tuple[Words, Words]:
    """Return further words to draw the issues of these rows from: what is copied, and a distance in time."""
    draws = rows.astype(np.uint64)
    blocks, batches = np.full_like(draws, block), np.full_like(draws, address.batch)
    place, distance, _, _ = address.at(Purpose.ISSUE_DETAIL).draws_at(draws, blocks, batches)
    return place, distance


def _kinds(words: Words, rows: NDArray[np.int64], quality: Quality) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Choose each issue's type by weight among those that apply; -1 where none does.

    All apply to every record, but the first of a block has no earlier line that it could copy.
    """
    weights = {kind: quality.weights.get(kind, 0.0) for kind in ISSUE_TYPES}
    names, thresholds = choice_thresholds(weights)
    chosen = choose(words, thresholds).astype(np.int64)
    if len(rows) and rows[0] == 0:
        others = {**weights, "duplicate": 0.0}
        chosen[0] = choose(words[:1], choice_thresholds(others)[1])[0] if any(others.values()) else -1
    return names, chosen


def _copied_rows(words: Words, rows: NDArray[np.int64], hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each row an earlier one to copy: one without an issue as long as there is any."""
    clean = np.flatnonzero(~hit)
    clean_before = np.searchsorted(clean, rows)
    any_earlier = _below(words, rows)
    if not len(clean):
        return any_earlier
    return np.where(clean_before > 0, clean[_below(words, clean_before)], any_earlier)


def _below(words: Words, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Map each word to a whole number below its own bound; 0 where that is 0."""
    return ((words * bounds.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def _field(issue: _Issue, form: _Form) -> _Field:
    """Return the field that the issue concerns."""
    if issue.kind in ("missing_field", "null_value"):
        return form.fields[issue.field * len(form.fields) >> 32]
    return form.choice_field if issue.kind == "invalid_enum" else form.time_field


def _injected(issue: _Issue, original: bytes, form: _Form, interval: Interval) -> bytes:
    """Return the JSON value that takes the original's place."""
    if issue.kind == "null_value":
        return b"null"
    if issue.kind == "invalid_enum":
        return form.wrong_choices[issue.value * len(form.wrong_choices) >> 32]
    if issue.kind == "malformed_timestamp":
        return malformed_timestamp(original, issue.value * MALFORMED_VARIANTS >> 32)
    return b'"%b"' % iso(_outside(issue, interval)).encode()


def malformed_timestamp(quoted: bytes, variant: int) -> bytes:
    """Return a timestamp, in quotes, as it must not be: month 13, day 32, hour 25, no zone, slashes, or a word."""
    if variant < len(_IMPOSSIBLE):
        start, digits = _IMPOSSIBLE[variant]
        return quoted[:start] + digits + quoted[start + 2 :]
    variant -= len(_IMPOSSIBLE)
    if variant < len(WRONG_WORDS):
        return WRONG_WORDS[variant]
    if variant == len(WRONG_WORDS):
        return quoted[:-2] + b'"'
    return quoted[:11].replace(b"-", b"/") + quoted[11:]


def _outside(issue: _Issue, interval: Interval) -> int:
    """Return an instant before the interval, after it, or far in the future."""
    where = issue.value * 3 >> 32
    within_a_day = issue.distance * _DAY >> 32
    if where == 0:
        return interval.start - 1 - within_a_day
    if where == 1:
        return interval.end + within_a_day
    return interval.end + (1 + (issue.distance * _FARTHEST_YEARS >> 32)) * 365 * _DAY


def _without(line: bytes, start: int, end: int) -> bytes:
    """Return the line without the field at this span, key included, and without its comma."""
    if line[end : end + 1] == b",":
        return line[:start] + line[end + 1 :]
    return line[: start - 1] + line[end:]
