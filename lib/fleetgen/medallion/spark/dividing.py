"""Owns how the batches of a pass are divided among executors: whole batches, consecutive, about as many lines each."""

from collections.abc import Sequence
from itertools import accumulate

from fleetgen.storage.ledger import BatchEntry

_LEAST_LINES = 5000
"""Fewer lines take less time than another task does."""


def divided(entries: Sequence[BatchEntry], most: int) -> tuple[Sequence[BatchEntry], ...]:
    """Return at most so many runs of consecutive batches."""
    *starts, total = accumulate((max(1, entry.record_count) for entry in entries), initial=0)
    runs = max(1, min(len(entries), most, total // _LEAST_LINES))
    places = [start * runs // total for start in starts]
    found = [[entry for entry, place in zip(entries, places, strict=True) if place == run] for run in range(runs)]
    return tuple(run for run in found if run)
