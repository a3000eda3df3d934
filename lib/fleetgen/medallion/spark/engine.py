"""Owns the way of a run of batches through all tables on Spark: executors judge whole batches, and give all tables' rows.

The tables are those of the embedded engine. Each is committed by itself and knows the last batch in it, so that a kill
between two commits, or another engine before this one, leaves nothing to do twice. There is one engine at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from fleetgen.cadence.clock import StopWatch
from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.engine import Carried, Totals
from fleetgen.medallion.carrying.order import passes
from fleetgen.medallion.embedded.budget import carrying
from fleetgen.medallion.embedded.companies import Companies
from fleetgen.medallion.embedded.database import Database
from fleetgen.medallion.embedded.table_set import TableSet
from fleetgen.medallion.embedded.tables import KEEP_SECONDS
from fleetgen.medallion.embedded.totals import totals
from fleetgen.medallion.embedded.upkeep import Upkeep
from fleetgen.medallion.gold import UNKNOWN, gold_of
from fleetgen.medallion.silver import RECORDS, silver_of
from fleetgen.medallion.spark.dividing import divided
from fleetgen.medallion.spark.kernel import Work, rows_of_runs
from fleetgen.medallion.spark.rows import SPARK_SCHEMA
from fleetgen.medallion.spark.session import Session
from fleetgen.medallion.spark.taking import Taken
from fleetgen.medallion.spark.writing import Kept
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

FEW_LINES = 20_000
"""The rows of so many lines are committed by the driver in less time than Spark takes to plan a commit."""


class SparkEngine:
    """Carries published batches into the tables of one dataset."""

    lines_at_once = 4_000_000

    def __init__(
        self,
        layout: Layout,
        dataset_id: str,
        session: Session,
        beat: Callable[[], None],
        memory: int | None = None,
        keep_seconds: int = KEEP_SECONDS,
        few_lines: int = FEW_LINES,
    ) -> None:
        self._layout, self._session, self._beat, self._memory = layout, session, beat, memory
        self._few_lines = few_lines
        self._tables = TableSet(layout, dataset_id, keep_seconds)
        self._upkeep = Upkeep(self._tables.all())
        self._database = Database(carrying(memory), layout.spill)
        silver, unknown = self._tables[RECORDS[Stream.COMPANIES].form.name], self._tables[UNKNOWN.form.name]
        self._companies = Companies(layout.company_index, silver, unknown, self._database.connection, beat)
        session.start()

    def next_batch(self, stream: Stream) -> int:
        """Return the lowest batch number that some table of the stream lacks."""
        return self._tables.next_batch(stream)

    def carry(self, stream: Stream, entries: Sequence[BatchEntry]) -> Carried:
        """Carry consecutive batches from bronze into every table; those that all tables have are left out.

        Raises DamagedBatch, before anything of the pass is written, if bronze is not as it was published.
        """
        carried = Carried()
        for run in passes(self._tables.missing(stream, entries), self.lines_at_once):
            self._carry(stream, run, carried)
        return carried

    def maintain(self) -> bool:
        """Keep up one table if one is due; return whether one was. To be called between batches."""
        kept_up = self._upkeep.perform(self._database.connection)
        self._database.rest()
        return kept_up

    def totals(self) -> Totals:
        """Return what has become of all lines in the tables."""
        return totals(self._layout)

    def close(self) -> None:
        """Let go of the driver's memory; Spark stays up for the next engine."""
        self._companies.close()
        self._database.close()

    def _carry(self, stream: Stream, run: Sequence[BatchEntry], carried: Carried) -> None:
        with self._database.working(stream, few=False), self._judged(stream, run) as rows:
            self._fill(stream, run[-1].batch_number, rows, carried)
            carried.batches += len(run)
            rows.counts.add_to(carried)

    @contextmanager
    def _judged(self, stream: Stream, run: Sequence[BatchEntry]) -> Iterator[Taken | Kept]:
        """Let executors judge batches; yield the rows that tables lack of them, for a while."""
        spark = self._session.spark
        forms = [*(each.form for each in silver_of(stream)), *(each.form for each in gold_of(stream))]
        after = {form.name: self._tables[form.name].last_batch(stream) for form in forms}
        runs = divided(run, spark.sparkContext.defaultParallelism)
        work = Work(self._layout, stream, runs, after, self._memory)
        frame = spark.range(0, len(runs), 1, len(runs)).mapInArrow(partial(rows_of_runs, work), SPARK_SCHEMA)
        if sum(entry.record_count for entry in run) <= self._few_lines:
            (rows,) = self._session.ask([frame.toArrow])
            yield Taken(self._database, self._tables, self._companies, rows)
            return
        kept = Kept(self._session, self._tables, self._companies, self._database, frame)
        try:
            yield kept
        finally:
            kept.let_go()

    def _fill(self, stream: Stream, last: int, rows: Taken | Kept, carried: Carried) -> None:
        """Commit to each table what it lacks of the batches up to this one."""
        watch = StopWatch()
        rows.write(silver_of(stream), stream, last)
        if stream is Stream.COMPANIES:
            self._companies.follow(self._database.connection)
        watch.lap("silver")
        rows.write(gold_of(stream), stream, last)
        if stream is Stream.EVENTS:
            self._companies.follow(self._database.connection)
        watch.lap("gold")
        carried.silver_to_gold_seconds += watch.phases["gold"]
