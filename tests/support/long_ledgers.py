"""A dataset with so many batches that only its ledgers are made: all else of them was pruned."""

import json
import os
from pathlib import Path

from fleetgen.config.loading import load
from fleetgen.domain.records import SECOND, Interval, Stream, iso
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
            for number in range(first, min(first + _AT_ONCE, lines)):
                span = Interval(start + number * SECOND, start + (number + 1) * SECOND)
                told = f'"start":"{iso(span.start)}","end":"{iso(span.end)}","batch_number":{number}'
                count = (number + 1) * companies_per_batch
                file.write(f'{{{told},"batch_id":"{span.batch_id}","company_count":{count},{rest}\n')
