"""Owns what DuckDB knows of the batches of a pass: a table of them, and the days that they tell of."""

from collections.abc import Sequence
from datetime import date

import duckdb
import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.pieces import registered
from fleetgen.storage.ledger import BatchEntry

_BATCHES_SQL = """
    CREATE OR REPLACE TEMP TABLE batches AS SELECT * REPLACE (
        make_timestamptz(interval_start) AS interval_start, make_timestamptz(interval_end) AS interval_end
    ) FROM batch_rows"""
_COLUMNS = ("stream", "batch_number", "batch_id", "interval_start", "interval_end", "lines")


def keep_batches(connection: duckdb.DuckDBPyConnection, stream: Stream, entries: Sequence[BatchEntry]) -> None:
    """Leave these batches in the table `batches`, which silver and gold read beside `judged`."""
    rows = [
        (stream.value, each.batch_number, each.batch_id, each.interval.start, each.interval.end, each.record_count)
        for each in entries
    ]
    with registered(
        connection, "batch_rows", pa.table(dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
    ):
        connection.execute(_BATCHES_SQL)


def days_of_deliveries(connection: duckdb.DuckDBPyConnection, after: int) -> list[date]:
    """Return the days for which judged lines after a batch tell of deliveries."""
    found = connection.execute(
        """SELECT DISTINCT timezone('UTC', timestamp)::DATE FROM judged
        WHERE event_type = 'delivered' AND batch_number > $after ORDER BY 1""",
        {"after": after},
    )
    return [day for (day,) in found.fetchall()]
