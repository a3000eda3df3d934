"""Owns what has become of all lines so far, as the tables of batches and of their quality in gold tell it."""

from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.engine import Totals
from fleetgen.medallion.embedded.tables import load
from fleetgen.medallion.gold import BATCHES, QUALITY
from fleetgen.storage.layout import Layout

_COLUMNS = {"accepted": "accepted", "quarantined": "quarantined", "duplicates": "duplicate"}
"""Columns of the table of batches, and the outcomes that they count."""


def totals(layout: Layout) -> Totals:
    """Return what has become of all lines; reads four columns of one table and two of the other."""
    found = Totals()
    if (table := load(BATCHES.form.folder(layout))) is not None:
        sums = table.to_pyarrow_table(columns=["stream", *_COLUMNS]).group_by("stream")
        for row in sums.aggregate([(name, "sum") for name in _COLUMNS]).to_pylist():
            for name, outcome in _COLUMNS.items():
                found.outcomes[Stream(row["stream"])][outcome] += row[f"{name}_sum"]
    if (table := load(QUALITY.form.folder(layout))) is not None:
        by_rule = table.to_pyarrow_table(columns=["rule", "lines"]).group_by("rule").aggregate([("lines", "sum")])
        found.rules.update({row["rule"]: row["lines_sum"] for row in by_rule.to_pylist()})
    return found
