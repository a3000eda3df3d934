"""Owns the silver tables: what their rows are, and how judged lines become them."""

from dataclasses import dataclass

from fleetgen.domain.records import Stream
from fleetgen.medallion.forms import COUNT, TEXT, TableForm
from fleetgen.medallion.rules import record_columns

_PLACE = {"batch_number": COUNT, "batch_id": TEXT, "line": COUNT}


@dataclass(frozen=True, slots=True)
class Silver:
    """A silver table and the SQL of its rows.

    The SQL reads `judged` and `batches` (``batch_number, batch_id, interval_start, interval_end, lines``), from the
    batch after ``$after`` on.
    """

    form: TableForm
    sql: str


def _records(stream: Stream) -> Silver:
    columns = record_columns(stream)
    sql = f"""
        SELECT batch_number, batch_id, line, {", ".join(columns)} FROM judged JOIN batches USING (batch_number)
        WHERE rule IS NULL AND batch_number > $after"""
    return Silver(TableForm(stream.value, "silver", {**_PLACE, **columns}, (stream,)), sql)


RECORDS = {stream: _records(stream) for stream in Stream}
"""The accepted records of each stream."""

QUARANTINE = Silver(
    TableForm(
        "quarantine",
        "silver",
        {"stream": TEXT, **_PLACE, "rule": TEXT, "field": TEXT, "raw": TEXT, "size_bytes": COUNT},
        tuple(Stream),
    ),
    """
        SELECT stream, batch_number, batch_id, line, rule, field, raw, size_bytes
        FROM judged JOIN batches USING (batch_number) WHERE rule IS NOT NULL AND batch_number > $after""",
)
"""Every rejected line of both streams, declared duplicates too."""


def silver_of(stream: Stream) -> tuple[Silver, ...]:
    """Return the silver tables that a stream's batches go into."""
    return (RECORDS[stream], QUARANTINE)
