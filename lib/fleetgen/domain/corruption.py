"""Owns the injection of quality issues into the finished lines of a block, line for line, and the truth about it.

It adds no line and removes none, and leaves those without an issue as they are. An issue cuts a span out of its line and
puts a text in its place; which span and which text are worked out for all issues at once, as columns. Which records get
an issue is decided in `issues`.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.issues import BOUNDARY, DUPLICATE, ENUM, MALFORMED, MISSING, NULL, Issues, decide, origins
from fleetgen.domain.randomness import Address, Words, below
from fleetgen.domain.records import COMPANY_FIELDS, EVENT_FIELDS, ISSUE_TYPES, SECOND, Interval, Quality, Stream
from fleetgen.domain.text import (
    Bytes,
    Lines,
    Offsets,
    Phrases,
    Spans,
    copy,
    copy_joined,
    copy_uneven,
    joined,
    numbers,
    quoted_instants,
    spread,
    total_widths,
)

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

_TIME_WIDTH = len('"0000-00-00T00:00:00.000000Z"')
_DAY = 86_400 * SECOND
_FARTHEST_YEARS = 50
_LONG = 1024
"""Bytes; to copy so many by themselves takes no longer than among others as wide."""
_RECORD_ID = b',"record_id":"'
_ID_HOLE = b"00000000-0000-0000-0000-000000000000"


class _Way(NamedTuple):
    """A way to change a value: the span cut out of it, in bytes from its first on, and the text in its place."""

    text: bytes
    first: int = 0
    last: int = -1
    """-1: to the value's end."""


_MALFORMED = (
    _Way(b"13", 6, 8),  # the month
    _Way(b"32", 9, 11),  # the day
    _Way(b"25", 12, 14),  # the hour
    *map(_Way, WRONG_WORDS),
    _Way(b"", _TIME_WIDTH - 2, _TIME_WIDTH - 1),  # the zone
    _Way(b"", 0, 0),  # slashes, written over the dashes
)
_DASHES = (5, 8)
_SLASHES = 2 + len(_MALFORMED) - 1
"""Index of the last of them among a form's ways."""


@dataclass(frozen=True, slots=True)
class Corrupted:
    """A block after injection."""

    lines: memoryview
    truth: bytes
    """A line of JSON for each issue, in order."""
    issues: Counter[str]
    """How many records got each type of issue."""


class _Form:
    """How the lines of a stream are laid out, and what can be done to them, as tables by type, field and way."""

    def __init__(self, names: tuple[str, ...], choice: str, wrong: tuple[bytes, ...]) -> None:
        self.keys = [b'"%b":' % name.encode() for name in names]
        self.key_widths = np.array([len(key) for key in self.keys])
        fields, chosen, time = len(names), names.index(choice), len(names) - 1
        self.fields = fields
        # By type, in the order of ISSUE_TYPES: the first field and way that it may concern, and how many there are.
        self.first_field = np.array([0, 0, time, chosen, 0, time])
        self.field_counts = np.array([fields, fields, 1, 1, 1, 1], np.uint64)
        self.first_way = np.array([0, 1, 2, 2 + len(_MALFORMED), 0, 0])
        self.way_counts = np.array([1, 1, len(_MALFORMED), len(wrong), 1, 1], np.uint64)
        ways = [_Way(b""), _Way(b"null"), *_MALFORMED, *map(_Way, wrong)]
        self.cuts = np.array([(way.first, way.last) for way in ways])
        self.texts = Phrases([way.text for way in ways])
        self.headings = Phrases(
            [
                _RECORD_ID
                + _ID_HOLE
                + b'","issue_type":"%b","field":%b,"original":' % (kind.encode(), _json_name(kind, name))
                for kind in ISSUE_TYPES
                for name in names
            ]
        )


def _json_name(kind: str, field: str) -> bytes:
    return b"null" if kind == "duplicate" else b'"%b"' % field.encode()


_FORMS = {
    Stream.COMPANIES: _Form(COMPANY_FIELDS, "geography", WRONG_GEOGRAPHIES),
    Stream.EVENTS: _Form(EVENT_FIELDS, "event_type", WRONG_EVENT_TYPES),
}

_REASONS = [b',"reason_code":"%b"}\n' % code.encode() for code in REASON_CODES.values()]
_INJECTS_NULL = [kind in (MISSING, NULL) for kind in range(len(ISSUE_TYPES))]
_LINE = Phrases([b'{"line":'])
_INJECTED = Phrases(
    [b',"injected":' + (b"null" + end if null else b"") for null, end in zip(_INJECTS_NULL, _REASONS, strict=True)]
)
_ENDS = Phrases([b"" if null else end for null, end in zip(_INJECTS_NULL, _REASONS, strict=True)])
"""What a truth says apart from the issue's details, the last two by type."""


@dataclass(frozen=True, slots=True)
class _Cuts:
    """What is cut out of which lines, as columns of places in the clean text."""

    line_starts: Offsets
    line_ends: Offsets
    value_starts: Offsets
    """Where the value of the field concerned starts."""
    value_ends: Offsets
    firsts: Offsets
    lasts: Offsets
    fields: NDArray[np.int64]
    ways: NDArray[np.int64]


def corrupt_block(
    lines: Lines,
    first_line: int,
    stream: Stream,
    quality: Quality,
    interval: Interval,
    address: Address,
    block: int,
) -> Corrupted:
    """Inject issues into the clean lines of a block; ``first_line`` counts from 1 over the batch's parts."""
    form = _FORMS[stream]
    issues = decide(len(lines.ends), quality, quality.error_rate(stream), address, block)
    if not len(issues):
        return Corrupted(lines.text.data, b"", Counter())
    cuts = _cuts(lines, issues, form)
    is_outside = issues.kinds == BOUNDARY
    inserted = [form.texts.spans(cuts.ways), spread(_outside(issues.only(is_outside), interval), is_outside)]
    published, at = _published(lines, issues, cuts, inserted)
    values = _injected(published, at, issues, cuts, inserted)
    truth = _truth(lines.text, issues, cuts, values, first_line, form)
    counts = zip(ISSUE_TYPES, np.bincount(issues.kinds, minlength=len(ISSUE_TYPES)).tolist(), strict=True)
    return Corrupted(published.data, truth.tobytes(), Counter({kind: count for kind, count in counts if count}))


def _cuts(lines: Lines, issues: Issues, form: _Form) -> _Cuts:
    """Return what each issue cuts out; a field that is left out goes with its key and one comma, a duplicate's line whole."""
    ends = lines.ends[issues.rows]
    starts = np.where(issues.rows > 0, lines.ends[issues.rows - 1], 0)
    fields = _drawn(issues.fields, form.first_field, form.field_counts, issues.kinds)
    ways = _drawn(issues.values, form.first_way, form.way_counts, issues.kinds)
    keys, layouts = _keys(lines, form), lines.layouts[issues.rows]
    key_starts = starts + keys[layouts, fields]
    value_starts = key_starts + form.key_widths[fields]
    value_ends = starts + keys[layouts, fields + 1] - 1
    firsts, lasts = form.cuts[ways].T
    firsts, lasts = value_starts + firsts, np.where(lasts < 0, value_ends, value_starts + lasts)
    is_missing, is_copy = issues.kinds == MISSING, issues.kinds == DUPLICATE
    is_last = fields == form.fields - 1
    return _Cuts(
        line_starts=starts,
        line_ends=ends,
        value_starts=value_starts,
        value_ends=value_ends,
        firsts=np.where(is_missing, key_starts - is_last, np.where(is_copy, starts, firsts)),
        lasts=np.where(is_missing, value_ends + 1 - is_last, np.where(is_copy, ends, lasts)),
        fields=fields,
        ways=ways,
    )


def _keys(lines: Lines, form: _Form) -> NDArray[np.int64]:
    """Return by layout at which byte of a line each field's key starts, and where one more would after a comma."""
    examples = np.full(lines.layouts.max() + 1, -1)
    examples[lines.layouts] = np.arange(len(lines.layouts))
    keys = np.zeros((len(examples), form.fields + 1), np.int64)
    for layout in np.flatnonzero(examples >= 0).tolist():
        row = examples[layout]
        line = lines.text[lines.ends[row - 1] if row else 0 : lines.ends[row]].tobytes()
        keys[layout] = [*map(line.index, form.keys), len(line) - 1]
    return keys


def _drawn(words: Words, firsts: Offsets, counts: Words, kinds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each word: one of those from the first on that its type may have."""
    return firsts[kinds] + below(words, counts[kinds]).astype(np.int64)


def _outside(issues: Issues, interval: Interval) -> Spans:
    """Return an instant before the interval, after it, or far in the future, as quoted text."""
    within_a_day = _day_part(issues.distances)
    years = 1 + below(issues.distances, _FARTHEST_YEARS).astype(np.int64)
    instants = np.choose(
        below(issues.values, 3).astype(np.int64),
        (interval.start - 1 - within_a_day, interval.end + within_a_day, interval.end + years * (365 * _DAY)),
    )
    return quoted_instants(instants)


def _day_part(words: Words) -> NDArray[np.int64]:
    """Map each word to a whole number of microseconds below a day: `below` in two steps, for the product has 69 bits."""
    high, low = words * np.uint64(_DAY >> 16), words * np.uint64(_DAY & 0xFFFF)
    return ((high + (low >> np.uint64(16))) >> np.uint64(16)).astype(np.int64)


def _published(lines: Lines, issues: Issues, cuts: _Cuts, inserted: list[Spans]) -> tuple[Bytes, Offsets]:
    """Return the block with its issues, and where each line starts in it."""
    widths = np.diff(lines.ends, prepend=0)
    widths[issues.rows] += total_widths(inserted) - (cuts.lasts - cuts.firsts)
    origin = origins(issues, len(widths))
    widths = widths[origin]
    ends = np.cumsum(widths)
    at = ends - widths
    out = np.empty(int(ends[-1]), np.uint8)
    _copy_kept(out, lines.text, ends[issues.rows] - (cuts.line_ends - cuts.lasts), cuts)
    copy_joined(out, at[issues.rows] + cuts.firsts - cuts.line_starts, inserted)
    slashed = cuts.ways == _SLASHES
    for dash in _DASHES:
        out[at[issues.rows[slashed]] + (cuts.value_starts - cuts.line_starts)[slashed] + dash] = ord("/")
    copies = issues.rows[issues.kinds == DUPLICATE]
    copy(out, at[copies], Spans(out, at[origin[copies]], widths[copies]))
    return out, at


def _copy_kept(out: Bytes, text: Bytes, resumed: Offsets, cuts: _Cuts) -> None:
    """Copy what lies before, between and after the cuts; ``resumed`` says where what comes after each of them goes on."""
    at, firsts, lasts = np.append(0, resumed), np.append(0, cuts.lasts), np.append(cuts.firsts, len(text))
    is_long = lasts - firsts > _LONG
    short = ~is_long
    copy_uneven(out, at[short], Spans(text, firsts[short], (lasts - firsts)[short]))
    target, source = out.data, text.data
    for place, first, last in np.column_stack((at, firsts, lasts))[is_long].tolist():
        target[place : place + last - first] = source[first:last]


def _injected(published: Bytes, at: Offsets, issues: Issues, cuts: _Cuts, inserted: list[Spans]) -> Spans:
    """Return the values as they are published; nothing where there is none, or null, or a whole record."""
    has_value = (issues.kinds == MALFORMED) | (issues.kinds == ENUM) | (issues.kinds == BOUNDARY)
    kept = cuts.value_ends - cuts.value_starts - (cuts.lasts - cuts.firsts)
    starts = at[issues.rows] + cuts.value_starts - cuts.line_starts
    return Spans(published, starts, (kept + total_widths(inserted)) * has_value)


def _truth(text: Bytes, issues: Issues, cuts: _Cuts, injected: Spans, first_line: int, form: _Form) -> Bytes:
    """Return the truth about a block, a line of JSON for each issue."""
    is_copy = issues.kinds == DUPLICATE
    original_starts = np.where(is_copy, cuts.line_starts, cuts.value_starts)
    original_ends = np.where(is_copy, cuts.line_ends - 1, cuts.value_ends)
    line = numbers(first_line + issues.rows)
    copied = spread(numbers(first_line + issues.copied_rows[is_copy]), is_copy)
    start = _LINE.spans(np.zeros_like(issues.rows))
    truth, at = joined(
        [
            start,
            line,
            form.headings.spans(issues.kinds * form.fields + cuts.fields),
            Spans(text, original_starts, original_ends - original_starts),
            _INJECTED.spans(issues.kinds),
            copied,
            injected,
            _ENDS.spans(issues.kinds),
        ]
    )
    ids = Spans(text, cuts.line_starts + form.key_widths[0] + 2, np.full_like(issues.rows, len(_ID_HOLE)))
    copy(truth, at + start.widths + line.widths + len(_RECORD_ID), ids)
    return truth
