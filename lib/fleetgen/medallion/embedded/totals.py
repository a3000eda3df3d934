"""Owns what has become of all lines so far, by stream, as the table of batches in gold tells it."""

from collections import Counter

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.tables import load
from fleetgen.medallion.gold import BATCHES
from fleetgen.storage.layout import Layout

_COLUMNS = {"accepted": "accepted", "quarantined": "quarantined", "duplicates": "duplicate"}
"""Columns of the table, and the outcomes that they count."""


def line_totals(layout: Layout) -> dict[Stream, Counter[str]]:
    """Return the lines of both streams by outcome; reads four columns of the whole table."""
    totals: dict[Stream, Counter[str]] = {stream: Counter() for stream in Stream}
    table = load(BATCHES.form.folder(layout))
    if table is None:
        return totals
    sums = table.to_pyarrow_table(columns=["stream", *_COLUMNS]).group_by("stream")
    for row in sums.aggregate([(name, "sum") for name in _COLUMNS]).to_pylist():
        totals[Stream(row["stream"])] += Counter({_COLUMNS[name]: row[f"{name}_sum"] for name in _COLUMNS})
    return totals
