"""Owns which records get an issue, and which: decided for all records of a block at once, as columns.

All draws have addresses of their own, so the clean records beneath do not change. What an issue does to its line is left
to `corruption`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetgen.domain.distributions import choice_thresholds, choose
from fleetgen.domain.randomness import Address, Purpose, Words, below
from fleetgen.domain.records import ISSUE_TYPES, Quality

MISSING, NULL, MALFORMED, ENUM, DUPLICATE, BOUNDARY = range(len(ISSUE_TYPES))
"""The types by their place in ``ISSUE_TYPES``."""


@dataclass(frozen=True, slots=True)
class Issues:
    """The decided issues of a block, by row: the record's row, the type, and words to draw its details from."""

    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    """Index into ``ISSUE_TYPES``."""
    fields: Words
    values: Words
    copied_rows: NDArray[np.int64]
    """The row that a duplicate copies."""
    distances: Words
    """How far a boundary violation lies outside."""

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, chosen: NDArray[np.bool_]) -> "Issues":
        """Return some of the issues."""
        return Issues(
            self.rows[chosen],
            self.kinds[chosen],
            self.fields[chosen],
            self.values[chosen],
            self.copied_rows[chosen],
            self.distances[chosen],
        )


def decide(rows: int, quality: Quality, rate: float, address: Address, block: int) -> Issues:
    """Return the issues of a block; each record's are drawn at an address of its own."""
    drawn, kind_words, fields, values = address.at(Purpose.ISSUE, block).draws(rows)
    hit: NDArray[np.bool_] = drawn < np.uint64(int(rate * 2**32))
    selected = np.flatnonzero(hit)
    kinds = _kinds(kind_words[selected], selected, quality)
    selected, kinds = selected[kinds >= 0], kinds[kinds >= 0]
    copied, distances = np.zeros(len(selected), np.int64), np.zeros(len(selected), np.uint64)
    detailed = (kinds == DUPLICATE) | (kinds == BOUNDARY)
    place, distances[detailed] = _details(address, block, selected[detailed])
    copied[detailed] = _copied_rows(place, selected[detailed], hit)
    return Issues(selected, kinds, fields[selected], values[selected], copied, distances)


def _details(address: Address, block: int, rows: NDArray[np.int64]) -> tuple[Words, Words]:
    """Return further words to draw the issues of these rows from: what is copied, and a distance in time."""
    blocks, batches = np.array([block], np.uint64), np.array([address.batch], np.uint64)
    place, distance, _, _ = address.at(Purpose.ISSUE_DETAIL).draws_at(rows.astype(np.uint64), blocks, batches)
    return place, distance


def _kinds(words: Words, rows: NDArray[np.int64], quality: Quality) -> NDArray[np.int64]:
    """Choose each issue's type by weight among those that apply; -1 where none does.

    All apply to every record, but the first of a block has no earlier line that it could copy.
    """
    weights = {kind: quality.weights.get(kind, 0.0) for kind in ISSUE_TYPES}
    chosen = choose(words, choice_thresholds(weights)[1]).astype(np.int64)
    if len(rows) and rows[0] == 0:
        others = {**weights, "duplicate": 0.0}
        chosen[0] = choose(words[:1], choice_thresholds(others)[1])[0] if any(others.values()) else -1
    return chosen


def _copied_rows(words: Words, rows: NDArray[np.int64], hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each row an earlier one to copy: one without an issue as long as there is any."""
    clean = np.flatnonzero(~hit)
    clean_before = np.searchsorted(clean, rows)
    any_earlier = below(words, rows).astype(np.int64)
    if not len(clean):
        return any_earlier
    return np.where(clean_before > 0, clean[below(words, clean_before).astype(np.int64)], any_earlier)


def origins(issues: Issues, rows: int) -> NDArray[np.int64]:
    """Return for each of a block's rows the one whose published line it bears: what a duplicate copies in the end."""
    origin = np.arange(rows)
    duplicates = issues.kinds == DUPLICATE
    origin[issues.rows[duplicates]] = issues.copied_rows[duplicates]
    while not np.array_equal(further := origin[origin], origin):
        origin = further
    return origin
