"""A dataset with so many batches that only its ledgers are made: all else of them was pruned."""

import json
import os
from pathlib import Path

import numpy as np

from fleetgen.config.loading import load
from fleetgen.domain.records import SECOND, Stream
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.files import make_folder
from fleetgen.storage.pruning import note_pruned

BYTES = 1000
"""Of each batch, it is said."""

_AT_ONCE = 10_000


def make_long(file: Path, lines: int, until: int) -> None:
    """Begin a dataset and write ledgers of so many batches, a second each, the last of which ended at ``until``."""
    loaded = load(file)
    dataset = Dataset(loaded.layout)
    with dataset.store.locked() as transaction:
        manifest = dataset.begin(transaction, lambda: loaded.config, until - lines * SECOND)
    each = loaded.config.settings(0).companies_per_batch
    for stream in Stream:
        start = manifest.head(stream).stands_at
        _write_ledger(loaded.layout.ledger(stream), stream, start, lines, each)
        note_pruned(loaded.layout, stream, lines)
    make_folder(loaded.layout.raw)
    loaded.layout.all_companies.touch()
    os.truncate(loaded.layout.all_companies, lines * BYTES)  # as long as it must be, so that it is not made anew


def _write_ledger(path: Path, stream: Stream, start: int, lines: int, companies_per_batch: int) -> None:
    make_folder(path.parent)
    fixed = {
        "segment": 1,
        "kind": "batch",
        "mode": "emulated",
        "record_count": companies_per_batch,
        "valid_count": companies_per_batch - 2,
        "corrupted_count": 2,
        "issue_counts": {"duplicate": 1, "null_field": 1},
        "bytes": BYTES,
        "parts": 1,
        "sha256": "0" * 64,
        "schema_version": 2,
    }
    rest = json.dumps(fixed, separators=(",", ":"))[1:]
    with path.open("w") as file:
        for first in range(0, lines, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, lines))
            instants = [f"{each}Z" for each in _instants(start, numbers)]
            for number, begin, end in zip(numbers, instants, instants[1:], strict=False):
                named = f"{begin[0:4]}{begin[5:7]}{begin[8:13]}{begin[14:16]}{begin[17:19]}Z"
                told = f'"start":"{begin}","end":"{end}","batch_number":{number},"batch_id":"{named}"'
                file.write(f'{{{told},"company_count":{(number + 1) * companies_per_batch},{rest}\n')


def _instants(start: int, numbers: range) -> list[str]:
    """Return the starts of seconds by their numbers, and the end of the last, without the zone."""
    first = np.datetime64(start + numbers[0] * SECOND, "us")
    found: list[str] = np.datetime_as_string(
        first + np.arange(len(numbers) + 1) * np.timedelta64(SECOND, "us")
    ).tolist()
    return found
