"""Owns text as arrays of bytes: windows into it, spans copied from one to another, decimal digits.

Many spans are copied by few assignments, one for each width that occurs. What the text says is left to `encoding` and
`corruption`.
"""

from collections.abc import Iterator, Sequence
from functools import cache, reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.records import SECOND

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Text = NDArray[np.void]
"""(n,): a row's bytes per item, all rows equally wide."""

_STEP = 64
"""Bytes; a power of two."""

_GROUP = 10_000
_GROUP_DIGITS = 4
_DAY_MINUTES = 24 * 60
_QUOTED = [("day", "V12"), ("minute", "V5"), ("second", "V4"), ("millisecond", "V3"), ("microsecond", "V5")]
"""The parts of an instant as JSON."""
_POWERS_OF_TEN = 10 ** np.arange(1, 19)


class Lines(NamedTuple):
    """Lines one behind the other."""

    text: Bytes
    ends: Offsets
    """Where each ends, its newline included."""
    layouts: NDArray[np.int64]
    """A number for each; lines alike in it have all their fields at the same bytes."""


class Spans(NamedTuple):
    """n spans of one text."""

    source: Bytes
    starts: Offsets
    widths: Offsets


class Phrases:
    """A few constant texts to choose from."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._source = np.frombuffer(b"".join(texts), np.uint8)
        self._widths = np.array([len(text) for text in texts])
        self._starts = np.cumsum(self._widths) - self._widths

    def spans(self, choices: NDArray[np.int64]) -> Spans:
        """Return the text that each choice names."""
        return Spans(self._source, self._starts.take(choices), self._widths.take(choices))


def place(out: Bytes, at: Offsets, text: Text) -> None:
    """Write item i of ``text`` to ``out`` from byte ``at[i]`` on."""
    _windows(out, text.dtype.itemsize)[at] = text


def copy(out: Bytes, at: Offsets, spans: Spans) -> None:
    """Write span i to ``out`` from byte ``at[i]`` on; the source may be ``out`` if what is read is not written."""
    for width, rows in _by_width(spans.widths):
        if width:
            _windows(out, width)[at[rows]] = _windows(spans.source, width)[spans.starts[rows]]


def copy_uneven(out: Bytes, at: Offsets, spans: Spans) -> None:
    """Do what `copy` does, for spans of so many widths that each of them is of few.

    A wide span is copied by two assignments, some steps from its start on and one step up to its end: so few widths are left.
    """
    is_wide = spans.widths > _STEP
    copy(out, at, spans._replace(widths=np.where(is_wide, spans.widths & -_STEP, spans.widths)))
    wide = np.flatnonzero(is_wide & (spans.widths % _STEP > 0))
    last = spans.widths[wide] - _STEP
    copy(out, at[wide] + last, Spans(spans.source, spans.starts[wide] + last, np.full(len(wide), _STEP)))


def _by_width(widths: Offsets) -> Iterator[tuple[int, Offsets | slice]]:
    """Yield each width that occurs, and its rows."""
    counts = np.bincount(widths)
    distinct = np.flatnonzero(counts).tolist()
    if len(distinct) == 1:
        yield distinct[0], slice(None)
        return
    ordered = np.argsort(widths.astype(np.uint16), kind="stable")
    end = 0
    for width in distinct:
        end += counts[width]
        yield width, ordered[end - counts[width] : end]


def joined(runs: Sequence[Spans]) -> tuple[Bytes, Offsets]:
    """Return n lines, one behind the other, each made of its span of every run in turn, and where each starts."""
    widths = total_widths(runs)
    ends = np.cumsum(widths)
    out = np.empty(int(ends[-1]), np.uint8)
    copy_joined(out, ends - widths, runs)
    return out, ends - widths


def copy_joined(out: Bytes, at: Offsets, runs: Sequence[Spans]) -> None:
    """Write n lines, line i to ``out`` from byte ``at[i]`` on, each made of its span of every run in turn."""
    for spans in runs:
        copy(out, at, spans)
        at = at + spans.widths


def total_widths(runs: Sequence[Spans]) -> Offsets:
    """Return how wide each line is that is made of its span of every run."""
    return reduce(np.add, [spans.widths for spans in runs])


def spread(spans: Spans, rows: NDArray[np.bool_]) -> Spans:
    """Return a span for each row: the next one where ``rows`` says yes, and nothing elsewhere."""
    starts, widths = np.zeros((2, len(rows)), np.int64)
    starts[rows], widths[rows] = spans.starts, spans.widths
    return Spans(spans.source, starts, widths)


def numbers(values: Offsets) -> Spans:
    """Return whole numbers as text."""
    groups = [values]
    while (groups[0] >= _GROUP).any():
        groups[:1] = np.divmod(groups[0], _GROUP)
    digits = np.stack([decimals("{:04d}", _GROUP).view(np.uint32).take(group) for group in groups], axis=1)
    widths = np.searchsorted(_POWERS_OF_TEN, values, side="right") + 1
    ends = np.arange(1, len(values) + 1) * (len(groups) * _GROUP_DIGITS)
    return Spans(digits.view(np.uint8).reshape(-1), ends - widths, widths)


def quoted_instants(instants: Offsets) -> Spans:
    """Return instants, microseconds since the epoch, as JSON: ISO 8601 with six decimals and Z; few days should occur."""
    minutes, microseconds = np.divmod(instants, 60 * SECOND)
    seconds, microseconds = np.divmod(microseconds, SECOND)
    days, minutes = np.divmod(minutes, _DAY_MINUTES)
    milliseconds, microseconds = np.divmod(microseconds, 1000)
    distinct, which = np.unique(days, return_inverse=True)
    text = np.empty(len(instants), _QUOTED)
    text["day"] = np.array([f'"{day}T' for day in distinct.astype("datetime64[D]")], "S12").view("V12").take(which)
    text["minute"] = _minutes_of_day().take(minutes)
    text["second"] = decimals(":{:02d}.", 60).take(seconds)
    text["millisecond"] = decimals("{:03d}", 1000).take(milliseconds)
    text["microsecond"] = decimals('{:03d}Z"', 1000).take(microseconds)
    width = text.dtype.itemsize
    return Spans(text.view(np.uint8), np.arange(len(text)) * width, np.full(len(text), width))


@cache
def _minutes_of_day() -> Text:
    return np.array([f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(_DAY_MINUTES)], "S5").view("V5")


@cache
def decimals(form: str, count: int) -> Text:
    """Return the text of the numbers below ``count`` in this form."""
    texts = [form.format(number).encode() for number in range(count)]
    return np.frombuffer(b"".join(texts), f"V{len(texts[0])}")


def _windows(text: Bytes, width: int) -> Text:
    """Return a window at every byte of a text."""
    return np.ndarray((text.size - width + 1,), f"V{width}", buffer=text.data, strides=(1,))
