"""Owns what DuckDB knows of the batches of a pass: a table of them, and the days that they tell of."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.database import BATCHES, Database
from fleetgen.storage.ledger import BatchEntry


def keep_batches(database: Database, stream: Stream, entries: Sequence[BatchEntry]) -> None:
    """Leave these batches in the table `batches`, which silver and gold read beside `judged`, until the pass ends."""
    rows = [
        (stream.value, each.batch_number, each.batch_id, each.interval.start, each.interval.end, each.record_count)
        for each in entries
    ]
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), BATCHES, strict=True)]
    database.insert("batches", pa.table(columns, schema=BATCHES))


def days_of_deliveries(database: Database, after: int) -> list[date]:
    """Return the days for which judged lines after a batch tell of deliveries."""
    found = database.run(
        """SELECT DISTINCT timezone('UTC', timestamp)::DATE FROM judged
        WHERE event_type = 'delivered' AND batch_number > $after ORDER BY 1""",
        {"after": after},
    )
    return [day for (day,) in found.fetchall()]
