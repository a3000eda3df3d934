"""Owns how the batches of a pass are divided among executors: whole batches, consecutive, about as many lines each."""

from collections.abc import Sequence
from itertools import accumulate

from fleetgen.storage.ledger import BatchEntry

_LEAST_LINES = 5000
"""Fewer lines take less time than another task does."""


def divided(entries: Sequence[BatchEntry], most: int) -> tuple[Sequence[BatchEntry], ...]:
    """Return at most so many runs of consecutive batches."""
    ends = list(accumulate(max(1, entry.record_count) for entry in entries))
    runs = max(1, min(len(entries), most, ends[-1] // _LEAST_LINES))
    places = [min(runs - 1, (end - 1) * runs // ends[-1]) for end in ends]
    found = [[entry for entry, place in zip(entries, places, strict=True) if place == run] for run in range(runs)]
    return tuple(run for run in found if run)
