"""Owns the way of a run of batches through all tables, and where to go on after a kill.

Each table is committed by itself and knows the last batch in it, so a kill between two commits leaves some tables ahead
of others: the next run takes up with the table that is farthest behind, and each table takes only what it lacks.
All tables are a function of bronze alone. There is one engine at a time; holding that is left to the process.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import date
from functools import partial

import duckdb
import pyarrow as pa

from fleetgen.cadence.clock import StopWatch
from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.engine import Carried, Totals
from fleetgen.medallion.carrying.order import missing, passes
from fleetgen.medallion.embedded.budget import Budget, carrying
from fleetgen.medallion.embedded.tables import KEEP_SECONDS, Table, open_table
from fleetgen.medallion.embedded.totals import totals
from fleetgen.medallion.embedded.upkeep import Upkeep
from fleetgen.medallion.gold import GOLD, UNKNOWN, Gold, gold_of
from fleetgen.medallion.lines import read_batches
from fleetgen.medallion.rules import judge
from fleetgen.medallion.silver import QUARANTINE, RECORDS, Silver, silver_of
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.pruning import pruned_before

_COMMITS_AT_ONCE = 4
_BATCHES_SQL = """
    CREATE OR REPLACE TEMP TABLE batches AS SELECT * REPLACE (
        make_timestamptz(interval_start) AS interval_start, make_timestamptz(interval_end) AS interval_end
    ) FROM batch_rows"""
_BATCH_COLUMNS = ("stream", "batch_number", "batch_id", "interval_start", "interval_end", "lines")


class EmbeddedEngine:
    """Carries published batches into the tables of one dataset."""

    def __init__(
        self,
        layout: Layout,
        dataset_id: str,
        beat: Callable[[], None],
        keep_seconds: int = KEEP_SECONDS,
        budget: Budget | None = None,
    ) -> None:
        self._layout = layout
        self._budget = budget or carrying()
        self._beat = beat
        self._spill = layout.spill
        shutil.rmtree(self._spill, ignore_errors=True)
        forms = [*(silver.form for silver in (*RECORDS.values(), QUARANTINE)), *(gold.form for gold in GOLD)]
        self._tables = {form.name: open_table(form, layout, dataset_id, keep_seconds) for form in forms}
        self._upkeep = Upkeep(tuple(self._tables.values()))
        self._workers = ThreadPoolExecutor(_COMMITS_AT_ONCE, "commit")
        self._connection = self._connect()
        self._load_companies()

    def next_batch(self, stream: Stream) -> int:
        """Return the lowest batch number that some table of the stream lacks."""
        return 1 + min(table.last_batch(stream) for table in self._tables_of(stream))

    def carry(self, stream: Stream, entries: Sequence[BatchEntry]) -> Carried:
        """Carry consecutive batches from bronze into every table; those that all tables have are left out.

        Raises DamagedBatch, before anything of the pass is written, if bronze is not as it was published.
        """
        carried = Carried()
        first = max(self.next_batch(stream), pruned_before(self._layout, stream))
        for run in passes(missing(stream, entries, first), self._budget.lines):
            self._carry(stream, run, carried)
        return carried

    def maintain(self) -> bool:
        """Keep up one table if one is due; return whether one was. To be called between batches."""
        return self._upkeep.perform()

    def totals(self) -> Totals:
        """Return what has become of all lines in the tables."""
        return totals(self._layout)

    def close(self) -> None:
        """Let go of threads and memory."""
        self._workers.shutdown()
        self._connection.close()

    def _tables_of(self, stream: Stream) -> list[Table]:
        return [table for table in self._tables.values() if stream in table.form.streams]

    def _carry(self, stream: Stream, entries: Sequence[BatchEntry], carried: Carried) -> None:
        watch = StopWatch()
        self._judge(stream, entries)
        last = entries[-1].batch_number
        self._write(silver_of(stream), stream, last, carried)
        if stream is Stream.COMPANIES:
            self._welcome_companies()
        watch.lap("silver")
        self._write(gold_of(stream), stream, last, carried)
        if stream is Stream.EVENTS:
            self._remember_unknown()
        watch.lap("gold")
        self._count(entries, carried)
        self._connection.execute("DROP TABLE judged")
        if sum(entry.record_count for entry in entries) > self._budget.lines:
            self._give_memory_back()
        carried.silver_to_gold_seconds += watch.phases["gold"]

    def _judge(self, stream: Stream, entries: Sequence[BatchEntry]) -> None:
        lines = read_batches(self._layout, stream, entries, self._beat)
        with self._registered("batch_rows", _batch_rows(stream, entries)):
            self._connection.execute(_BATCHES_SQL)
        with self._registered("lines", lines):
            judge(self._connection, stream)
        self._beat()

    def _write(self, declared: Sequence[Silver | Gold], stream: Stream, last: int, carried: Carried) -> None:
        """Commit to each table the rows of the batches that it lacks.

        The rows are made one table after another; the commits, which mostly wait, run beside each other.
        """
        commits: list[Future[None]] = []
        for each in declared:
            if self._tables[each.form.name].last_batch(stream) < last:
                rows, commit = self._prepared(each, stream, last)
                carried.rows[each.form.name] += rows
                commits.append(self._workers.submit(commit))
        wait(commits)  # all, so that after a fault none is still under way
        for done in commits:
            done.result()
            self._beat()

    def _prepared(self, declared: Silver | Gold, stream: Stream, last: int) -> tuple[int, Callable[[], None]]:
        """Return the number of rows that a table gets, and the call that commits them."""
        table = self._tables[declared.form.name]
        after = table.last_batch(stream)
        if not (isinstance(declared, Gold) and declared.kept):
            rows = self._rows(declared, after)
            return rows.num_rows, partial(table.append, rows, stream, last)
        days = self._days(after) if declared.form.partition_by else None
        own = table.rows() if days is None else table.rows([("day", "in", days)])
        with self._registered("own", own):
            rows = self._rows(declared, after)
        if days is None:
            return rows.num_rows, partial(table.replace, rows, stream, last)
        # Without a day there is nothing to replace, and nothing is appended.
        named = ", ".join(f"'{day}'" for day in days)
        replace = partial(table.replace, rows, stream, last, f"day IN ({named})")
        return rows.num_rows, replace if days else partial(table.append, rows, stream, last)

    def _days(self, after: int) -> list[date]:
        found = self._connection.execute(
            """SELECT DISTINCT timezone('UTC', timestamp)::DATE FROM judged
            WHERE event_type = 'delivered' AND batch_number > $after ORDER BY 1""",
            {"after": after},
        )
        return [day for (day,) in found.fetchall()]

    def _rows(self, declared: Silver | Gold, after: int) -> pa.Table:
        return self._connection.sql(declared.sql, params={"after": after}).to_arrow_table().cast(declared.form.schema)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open a database in memory; what exceeds the limit goes beside the data for as long as it is needed."""
        connection = duckdb.connect(config=self._budget.settings(self._spill) | {"preserve_insertion_order": False})
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        return connection

    def _give_memory_back(self) -> None:
        """Begin anew with the companies alone: DuckDB would keep what a large batch took for as long as it lives."""
        names = ("known_companies", "unknown_companies")
        kept = {name: self._connection.sql(f"FROM {name}").to_arrow_table() for name in names}
        self._connection.close()
        self._connection = self._connect()
        for name, rows in kept.items():
            self._keep(name, rows)

    def _keep(self, name: str, rows: pa.Table) -> None:
        """Make a table in memory."""
        with self._registered("rows_to_keep", rows):
            self._connection.execute(f"CREATE TEMP TABLE {name} AS SELECT DISTINCT company_id FROM rows_to_keep")

    @contextmanager
    def _registered(self, name: str, rows: pa.Table) -> Iterator[None]:
        self._connection.register(name, rows)
        try:
            yield
        finally:
            self._connection.unregister(name)

    def _load_companies(self) -> None:
        """Take the companies that silver knows into memory, and those whose events are written as unknown."""
        silver = RECORDS[Stream.COMPANIES].form.name
        for name, table in (("known_companies", silver), ("unknown_companies", UNKNOWN.form.name)):
            self._keep(name, self._tables[table].rows(columns=["company_id"]))

    def _welcome_companies(self) -> None:
        """Let accepted companies be known, and delete what was written while they were not."""
        arrived = "(SELECT company_id FROM judged WHERE rule IS NULL)"
        self._connection.execute(
            f"INSERT INTO known_companies FROM {arrived} ANTI JOIN known_companies USING (company_id)"
        )
        self._forget_arrived(arrived)

    def _remember_unknown(self) -> None:
        """Note whose events were written while their company was not known."""
        self._connection.execute(
            """INSERT INTO unknown_companies SELECT DISTINCT company_id FROM judged
            ANTI JOIN known_companies USING (company_id) ANTI JOIN unknown_companies USING (company_id)
            WHERE rule IS NULL"""
        )

    def _forget_arrived(self, companies: str) -> None:
        found = self._connection.execute(f"FROM unknown_companies SEMI JOIN {companies} USING (company_id)").fetchall()
        if found:
            ids = ", ".join(f"'{company}'" for (company,) in found)
            self._tables[UNKNOWN.form.name].delete(f"company_id IN ({ids})")
            self._connection.execute(f"DELETE FROM unknown_companies WHERE company_id IN ({ids})")

    def _count(self, entries: Sequence[BatchEntry], carried: Carried) -> None:
        carried.batches += len(entries)
        for rule, count in self._connection.execute("SELECT rule, count(*) FROM judged GROUP BY rule").fetchall():
            carried.lines += count
            if rule is None:
                carried.outcomes["accepted"] += count
            else:
                carried.rules[rule] += count
                carried.outcomes["duplicate" if rule == "duplicate" else "quarantined"] += count


def _batch_rows(stream: Stream, entries: Sequence[BatchEntry]) -> pa.Table:
    rows = [
        (stream.value, each.batch_number, each.batch_id, each.interval.start, each.interval.end, each.record_count)
        for each in entries
    ]
    return pa.table(dict(zip(_BATCH_COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
