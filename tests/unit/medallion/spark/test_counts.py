"""What executors tell of a pass: rows by table, lines by rule, and the first batch that is damaged."""

import pytest

from fleetgen.medallion.lines import DamagedBatch
from fleetgen.medallion.spark.counts import counts
from fleetgen.medallion.spark.rows import DAMAGED, JUDGED

FOUND = [("events", None, None, 7), (JUDGED, None, None, 5), (JUDGED, "duplicate", None, 2), (JUDGED, None, None, 1)]


def test_rows_and_lines_are_added_up() -> None:
    added = counts(FOUND)
    assert (added.rows, added.lines) == ({"events": 7}, {None: 6, "duplicate": 2})


def test_of_several_damaged_batches_the_first_is_told() -> None:
    with pytest.raises(DamagedBatch, match="the ninth") as told:
        counts([*FOUND, (DAMAGED, None, "the tenth", 10), (DAMAGED, None, "the ninth", 9), *FOUND])
    assert told.value.batch_number == 9
