"""Owns all tables of a dataset together, open for writing: how far they have come, and what they lack.

What fills them is left to the engine, so that another engine goes on where one has stopped.
"""

from collections.abc import Sequence

from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.order import missing
from fleetgen.medallion.embedded.tables import KEEP_SECONDS, Table, open_table
from fleetgen.medallion.gold import GOLD
from fleetgen.medallion.silver import QUARANTINE, RECORDS
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.pruning import pruned_before


class TableSet:
    """The tables of one dataset."""

    def __init__(self, layout: Layout, dataset_id: str, keep_seconds: int = KEEP_SECONDS) -> None:
        self._layout = layout
        forms = [*(silver.form for silver in (*RECORDS.values(), QUARANTINE)), *(gold.form for gold in GOLD)]
        self._tables = {form.name: open_table(form, layout, dataset_id, keep_seconds) for form in forms}

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def all(self) -> tuple[Table, ...]:
        """Return every table."""
        return tuple(self._tables.values())

    def next_batch(self, stream: Stream) -> int:
        """Return the lowest batch number that some table of the stream lacks."""
        return 1 + min(table.last_batch(stream) for table in self.all() if stream in table.form.streams)

    def missing(self, stream: Stream, entries: Sequence[BatchEntry]) -> list[BatchEntry]:
        """Return the batches that some table of the stream lacks and that were not pruned; they must follow each other."""
        return missing(stream, entries, max(self.next_batch(stream), pruned_before(self._layout, stream)))
