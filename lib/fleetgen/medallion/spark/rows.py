"""Owns the one form in which executors hand over the rows of all tables, and what they tell of lines besides.

Each row names its table in `_table` and fills that table's columns; the others are NULL.
"""

import pyarrow as pa

from fleetgen.medallion.forms import TableForm
from fleetgen.medallion.gold import GOLD
from fleetgen.medallion.silver import QUARANTINE, RECORDS

TABLE = "_table"

JUDGED = "_judged"
"""Rows of no table: how many `lines` each `rule` rejected; a NULL rule accepted them."""

DAMAGED = "_damaged"
"""A row that says in `raw` that the batch `batch_number` is not as it was published."""

_FORMS: tuple[TableForm, ...] = (
    *(silver.form for silver in (*RECORDS.values(), QUARANTINE)),
    *(gold.form for gold in GOLD),
)

SCHEMA: pa.Schema = pa.unify_schemas([pa.schema([(TABLE, pa.string())]), *(form.schema for form in _FORMS)])
"""Columns of one name have one type in all tables."""

_TYPES = {
    pa.string(): "string",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
}

SPARK_SCHEMA = ", ".join(f"`{column.name}` {_TYPES[column.type]}" for column in SCHEMA)
"""The same as Spark declares it."""


def spread(table: str, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of a table in the common form."""
    found = {name: rows[name] for name in rows.schema.names} | {TABLE: pa.array([table] * len(rows), pa.string())}
    columns = [
        found[column.name].cast(column.type) if column.name in found else pa.nulls(len(rows), column.type)
        for column in SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
