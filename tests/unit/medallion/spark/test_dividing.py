"""Batches divided among executors: all of them, in order, in runs of about as many lines."""

import pytest

from fleetgen.medallion.spark.dividing import divided
from fleetgen.storage.ledger import BatchEntry


def batches(*lines: int) -> list[BatchEntry]:
    told = {"start": "", "end": "", "segment": 1, "company_count": 0, "batch_id": "", "mode": "emulated"}
    counts = {"valid_count": 0, "corrupted_count": 0, "bytes": 0, "parts": 1, "sha256": ""}
    return [
        BatchEntry.model_validate(told | counts | {"batch_number": number, "record_count": count})
        for number, count in enumerate(lines)
    ]


def lines(runs: tuple[object, ...]) -> list[list[int]]:
    return [[entry.record_count for entry in run] for run in runs]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("counts", "most", "expected"),
    [
        ((10, 20, 30), 8, [[10, 20, 30]]),
        ((0, 0), 8, [[0, 0]]),
        ((9000, 9000, 9000, 9000), 2, [[9000, 9000], [9000, 9000]]),
        ((9000, 9000, 9000, 9000), 8, [[9000], [9000], [9000], [9000]]),
        ((100_000, 1, 1, 1), 4, [[100_000], [1, 1, 1]]),
    ],
)
def test_runs_are_whole_batches_of_about_as_many_lines(
    counts: tuple[int, ...], most: int, expected: list[list[int]]
) -> None:
    assert lines(divided(batches(*counts), most)) == expected
