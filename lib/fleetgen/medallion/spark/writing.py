"""Owns how Spark writes a table: each commit carries the last batch in it, so that no batch is written twice."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.tables import Table, application
from fleetgen.medallion.forms import TableForm
from fleetgen.medallion.spark.rows import TABLE

_ROWS_A_FILE = 500_000


def rows_of(kept: Any, form: TableForm) -> Any:
    """Return a table's rows among those that executors have handed over."""
    return kept.where(kept[TABLE] == form.name).select(*form.schema.names)


def append(frame: Any, table: Table, stream: Stream, last_batch: int, rows: int) -> None:
    """Add rows to a table."""
    _write(frame.coalesce(_files(rows)).write.mode("append"), table, stream, last_batch)


def add_up(spark: Any, sums: Any, table: Table, stream: Stream, last_batch: int, days: Sequence[date] | None) -> None:
    """Add sums to a kept table's own: its rows, or those of some days, are replaced by the totals."""
    from pyspark.sql import functions

    own = spark.read.format("delta").load(str(table.folder))
    replaced = {}
    if days is not None:
        named = f"day IN ({', '.join(f'DATE{str(day)!r}' for day in days)})"
        own, replaced = own.where(named), {"replaceWhere": named}
    counts = [column.name for column in table.form.schema if column.type == "int64"]
    keys = [name for name in table.form.schema.names if name not in counts]
    totals = own.unionByName(sums).groupBy(*keys).agg(*(functions.sum(name).alias(name) for name in counts))
    writer = totals.select(*table.form.schema.names).coalesce(1).write.mode("overwrite").options(**replaced)
    _write(writer, table, stream, last_batch)


def _write(writer: Any, table: Table, stream: Stream, last_batch: int) -> None:
    named = {"txnAppId": application(stream), "txnVersion": str(last_batch)}
    writer.format("delta").options(**named).save(str(table.folder))
    table.refresh()


def _files(rows: int) -> int:
    return 1 + rows // _ROWS_A_FILE
