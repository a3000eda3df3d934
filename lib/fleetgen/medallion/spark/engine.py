"""Owns the way of a run of batches through all tables on Spark: judged by executors, written by Spark, table by table.

The tables are those of the embedded engine. Each is committed by itself and knows the last batch in it, so that a kill
between two commits, or another engine before this one, leaves nothing to do twice. There is one engine at a time.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from fleetgen.cadence.clock import StopWatch
from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.engine import Carried, Totals
from fleetgen.medallion.carrying.order import passes
from fleetgen.medallion.embedded.batches import open_database
from fleetgen.medallion.embedded.budget import carrying
from fleetgen.medallion.embedded.table_set import TableSet
from fleetgen.medallion.embedded.tables import KEEP_SECONDS, Table
from fleetgen.medallion.embedded.totals import totals
from fleetgen.medallion.embedded.upkeep import Upkeep
from fleetgen.medallion.gold import UNKNOWN, Gold, gold_of
from fleetgen.medallion.lines import DamagedBatch
from fleetgen.medallion.silver import RECORDS, Silver, silver_of
from fleetgen.medallion.spark.dividing import divided
from fleetgen.medallion.spark.kernel import Work, rows_of_runs
from fleetgen.medallion.spark.rows import DAMAGED, JUDGED, SPARK_SCHEMA, TABLE
from fleetgen.medallion.spark.session import Session
from fleetgen.medallion.spark.writing import add_up, append, rows_of
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

_LINES_AT_ONCE = 4_000_000


class SparkEngine:
    """Carries published batches into the tables of one dataset."""

    def __init__(
        self,
        layout: Layout,
        dataset_id: str,
        session: Session,
        beat: Callable[[], None],
        memory: int | None = None,
        keep_seconds: int = KEEP_SECONDS,
    ) -> None:
        self._layout, self._session, self._beat, self._memory = layout, session, beat, memory
        self._tables = TableSet(layout, dataset_id, keep_seconds)
        self._upkeep = Upkeep(self._tables.all())
        self._connection = open_database(carrying(memory), layout.spill)
        session.start()

    def next_batch(self, stream: Stream) -> int:
        """Return the lowest batch number that some table of the stream lacks."""
        return self._tables.next_batch(stream)

    def carry(self, stream: Stream, entries: Sequence[BatchEntry]) -> Carried:
        """Carry consecutive batches from bronze into every table; those that all tables have are left out.

        Raises DamagedBatch, before anything of the pass is written, if bronze is not as it was published.
        """
        carried = Carried()
        for run in passes(self._tables.missing(stream, entries), _LINES_AT_ONCE):
            self._carry(stream, run, carried)
        return carried

    def maintain(self) -> bool:
        """Keep up one table if one is due; return whether one was. To be called between batches."""
        return self._upkeep.perform(self._connection)

    def totals(self) -> Totals:
        """Return what has become of all lines in the tables."""
        return totals(self._layout)

    def close(self) -> None:
        """Let go of the driver's memory; Spark stays up for the next engine."""
        self._connection.close()

    def _carry(self, stream: Stream, run: Sequence[BatchEntry], carried: Carried) -> None:
        with self._judged(stream, run) as kept:
            (told,) = self._session.ask([lambda: _told(kept)])
            for table, _, words in told:
                if table == DAMAGED:
                    raise DamagedBatch(words)
            self._fill(stream, run[-1].batch_number, kept, _rows_by_table(told), carried)
            carried.batches += len(run)
            _count(told, carried)

    @contextmanager
    def _judged(self, stream: Stream, run: Sequence[BatchEntry]) -> Iterator[Any]:
        """Let executors keep the rows of all tables for a while."""
        spark = self._session.spark
        forms = [*(each.form for each in silver_of(stream)), *(each.form for each in gold_of(stream))]
        after = {form.name: self._tables[form.name].last_batch(stream) for form in forms}
        runs = divided(run, spark.sparkContext.defaultParallelism)
        work = Work(self._layout, stream, runs, after, self._memory)
        places = spark.range(0, len(runs), 1, len(runs))
        rows = places.mapInArrow(partial(rows_of_runs, work), SPARK_SCHEMA)
        if self._session.settings.checkpoint is not None:
            (kept,) = self._session.ask([rows.checkpoint])
        else:
            kept = rows.persist()
        try:
            yield kept
        finally:
            with suppress(Exception):
                kept.unpersist()

    def _fill(self, stream: Stream, last: int, kept: Any, rows: Mapping[str, int], carried: Carried) -> None:
        """Commit to each table what it lacks of the batches up to this one."""
        watch = StopWatch()
        self._write(silver_of(stream), stream, last, kept, rows)
        if stream is Stream.COMPANIES:
            self._forget_arrived()
        watch.lap("silver")
        self._write(gold_of(stream), stream, last, kept, rows)
        watch.lap("gold")
        carried.silver_to_gold_seconds += watch.phases["gold"]
        carried.rows.update(rows)

    def _write(
        self, declared: Sequence[Silver | Gold], stream: Stream, last: int, kept: Any, rows: Mapping[str, int]
    ) -> None:
        """Write tables, several at the same time; those without new rows need no Spark to say how far they are."""
        orders = []
        for each in declared:
            table = self._tables[each.form.name]
            if table.last_batch(stream) < last:
                if rows.get(each.form.name, 0):
                    orders.append(partial(self._write_table, each, table, stream, last, kept, rows[each.form.name]))
                else:
                    table.append((), stream, last)
        self._session.ask(orders)

    def _write_table(
        self, declared: Silver | Gold, table: Table, stream: Stream, last: int, kept: Any, rows: int
    ) -> None:
        frame, spark = rows_of(kept, declared.form), self._session.spark
        if isinstance(declared, Gold) and declared.kept:
            days = None
            if declared.form.partition_by:
                days = sorted(row["day"] for row in frame.select("day").distinct().collect())
            add_up(spark, frame, table, stream, last, days)
            return
        if declared is UNKNOWN:
            known = spark.read.format("delta").load(str(self._tables[RECORDS[Stream.COMPANIES].form.name].folder))
            frame = frame.join(known.select("company_id"), "company_id", "left_anti").select(
                *declared.form.schema.names
            )
            if not (rows := frame.count()):
                table.append((), stream, last)
                return
        append(frame, table, stream, last, rows)

    def _forget_arrived(self) -> None:
        """Delete what was written of events while their companies were not known, for those that are in silver now."""
        unknown, known = self._tables[UNKNOWN.form.name], self._tables[RECORDS[Stream.COMPANIES].form.name]
        if not unknown.files:
            return
        found = self._connection.execute(
            f"SELECT DISTINCT company_id FROM ({unknown.rows()}) SEMI JOIN ({known.rows()}) USING (company_id)"
        ).fetchall()
        if found:
            ids = ", ".join(f"'{company}'" for (company,) in found)
            unknown.delete(f"company_id IN ({ids})")


_Told = Counter[tuple[str, str | None, str | None]]
"""Rows by table, rule and words; of `JUDGED`, lines."""


def _told(kept: Any) -> _Told:
    """Let the executors work, and count what they give."""
    from pyspark.sql import functions

    table = kept[TABLE]
    judged = table == JUDGED
    columns = kept.select(
        table,
        functions.when(judged, kept["rule"]).alias("rule"),
        functions.when(table == DAMAGED, kept["raw"]).alias("words"),
        functions.when(judged, kept["lines"]).otherwise(1).alias("count"),
    )
    counted = columns.groupBy(TABLE, "rule", "words").agg(functions.sum("count").alias("count")).collect()
    return Counter({(row[TABLE], row["rule"], row["words"]): row["count"] for row in counted})


def _rows_by_table(told: _Told) -> dict[str, int]:
    return {table: count for (table, _, _), count in told.items() if table != JUDGED}


def _count(told: _Told, carried: Carried) -> None:
    for (table, rule, _), count in told.items():
        if table == JUDGED:
            carried.count(rule, count)
