"""Owns a pass of many lines: executors keep the rows, and Spark writes them, table by table, as Delta.

Each commit carries the last batch in it (`txnAppId`, `txnVersion`), so that Delta writes no batch twice.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.companies import Companies
from fleetgen.medallion.embedded.database import Database, registered
from fleetgen.medallion.embedded.table_set import TableSet
from fleetgen.medallion.embedded.tables import Table, application
from fleetgen.medallion.forms import TableForm
from fleetgen.medallion.gold import UNKNOWN, Gold
from fleetgen.medallion.silver import Silver
from fleetgen.medallion.spark.counts import Counts, counts
from fleetgen.medallion.spark.rows import DAMAGED, JUDGED, TABLE
from fleetgen.medallion.spark.session import Session

_ROWS_A_FILE = 500_000
_BROADCAST_ROWS = 200_000
"""More would take the memory of driver and executors rather than their time."""


class Kept:
    """The rows of all tables, on the executors."""

    def __init__(
        self,
        session: Session,
        tables: TableSet,
        companies: Companies,
        database: Database,
        frame: Any,
    ) -> None:
        """Let executors work and keep rows in the common form; raises DamagedBatch if they tell of one."""
        self._session, self._tables, self._companies, self._database = session, tables, companies, database
        if session.settings.checkpoint is not None:
            (self._frame,) = session.ask([frame.checkpoint])
        else:
            self._frame = frame.persist()
        try:
            (found,) = session.ask([lambda: _counted(self._frame)])
            self.counts: Counts = counts(found)
        except BaseException:
            self.let_go()
            raise

    def let_go(self) -> None:
        """Let executors forget the rows."""
        with suppress(Exception):
            self._frame.unpersist()

    def write(self, declared: Sequence[Silver | Gold], stream: Stream, last_batch: int) -> None:
        """Commit to each of these tables what it lacks of the batches up to this one, to several at the same time."""
        lacking = [each for each in declared if self._tables[each.form.name].last_batch(stream) < last_batch]
        with self._strangers() if UNKNOWN in lacking else nullcontext(pa.table({})) as strangers:
            orders: list[Callable[[], None]] = []
            for each in lacking:
                table = self._tables[each.form.name]
                if self.counts.rows[each.form.name] and (each is not UNKNOWN or strangers.num_rows):
                    orders.append(partial(self._write, each, table, stream, last_batch, strangers))
                else:
                    table.append((), stream, last_batch)
            self._session.ask(orders)

    @contextmanager
    def _strangers(self) -> Iterator[pa.Table]:
        """Yield those companies of the events that silver does not know; in the end they are noted as such.

        The index is asked for the companies of this pass. A join with silver's would read all that there ever were.
        """
        (asked,) = self._session.ask([self._rows(UNKNOWN.form).select("company_id").distinct().toArrow])
        with (
            registered(self._database.connection, "asked", asked),
            self._companies.known(self._database, "SELECT company_id FROM asked"),
        ):
            found = self._database.run("FROM asked ANTI JOIN known_companies USING (company_id)")
            yield found.to_arrow_table()

    def _rows(self, form: TableForm) -> Any:
        return self._frame.where(self._frame[TABLE] == form.name).select(*form.columns)

    def _write(
        self, declared: Silver | Gold, table: Table, stream: Stream, last_batch: int, strangers: pa.Table
    ) -> None:
        form, rows = declared.form, self._rows(declared.form)
        if isinstance(declared, Gold) and declared.kept:
            _add_up(self._session.spark, rows, table, stream, last_batch)
            return
        if declared is UNKNOWN:
            rows = self._of(strangers, rows).select(*form.columns)
        files = 1 + self.counts.rows[form.name] // _ROWS_A_FILE
        _write(rows.coalesce(files).write.mode("append"), table, stream, last_batch)

    def _of(self, companies: pa.Table, rows: Any) -> Any:
        from pyspark.sql import functions

        named = self._session.spark.createDataFrame(companies)
        if companies.num_rows <= _BROADCAST_ROWS:
            named = functions.broadcast(named)
        return rows.join(named, "company_id", "left_semi")


def _counted(frame: Any) -> list[tuple[str, str | None, str | None, int]]:
    """Let executors work; return how many rows there are by table, rule and words, and of `JUDGED` how many lines."""
    from pyspark.sql import functions

    table = frame[TABLE]
    columns = frame.select(
        table,
        functions.when(table == JUDGED, frame["rule"]).alias("rule"),
        functions.when(table == DAMAGED, frame["raw"]).alias("words"),
        functions.when(table == JUDGED, frame["lines"])
        .when(table == DAMAGED, frame["batch_number"])
        .otherwise(1)
        .alias("count"),
    )
    found = columns.groupBy(TABLE, "rule", "words").agg(functions.sum("count").alias("count")).collect()
    return [tuple(row) for row in found]


def _add_up(spark: Any, sums: Any, table: Table, stream: Stream, last_batch: int) -> None:
    """Add sums to a kept table's own: its rows, or those of some days, are replaced by the totals."""
    from pyspark.sql import functions

    form, own, replaced = table.form, _read(spark, table), {}
    if form.partition_by:
        replaced = {"replaceWhere": f"day IN ({', '.join(_literal(day) for day in _days(sums))})"}
        own = own.where(replaced["replaceWhere"])
    added = (functions.sum(name).alias(name) for name in form.counts)
    totals = own.unionByName(sums).groupBy(*(name for name in form.columns if name not in form.counts)).agg(*added)
    writer = totals.select(*form.columns).coalesce(1).write.mode("overwrite").options(**replaced)
    _write(writer, table, stream, last_batch)


def _days(sums: Any) -> list[date]:
    return sorted(row["day"] for row in sums.select("day").distinct().collect())


def _literal(day: date) -> str:
    return f"DATE'{day}'"


def _read(spark: Any, table: Table) -> Any:
    return spark.read.format("delta").load(str(table.folder))


def _write(writer: Any, table: Table, stream: Stream, last_batch: int) -> None:
    named = {"txnAppId": application(stream), "txnVersion": str(last_batch)}
    writer.format("delta").options(**named).save(str(table.folder))
    table.refresh()
