"""Owns the way of a run of batches through all tables, and where to go on after a kill.

Each table is committed by itself and knows the last batch in it, so a kill between two commits leaves some tables ahead
of others: the next run takes up with the table that is farthest behind, and each table takes only what it lacks.
All tables are a function of bronze alone. There is one engine at a time; holding that is left to the process.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import duckdb

from fleetgen.cadence.clock import StopWatch
from fleetgen.domain.records import Stream
from fleetgen.machine import give_memory_back
from fleetgen.medallion.carrying.engine import Carried, Totals
from fleetgen.medallion.carrying.order import passes
from fleetgen.medallion.embedded.batches import days_of_deliveries, keep_batches, shown_lines
from fleetgen.medallion.embedded.budget import Budget, carrying
from fleetgen.medallion.embedded.commits import DataFile
from fleetgen.medallion.embedded.companies import Companies
from fleetgen.medallion.embedded.database import Database
from fleetgen.medallion.embedded.files import write_few_rows, write_rows
from fleetgen.medallion.embedded.pieces import judged_in_pieces
from fleetgen.medallion.embedded.table_set import TableSet
from fleetgen.medallion.embedded.tables import KEEP_SECONDS, Table
from fleetgen.medallion.embedded.totals import totals
from fleetgen.medallion.embedded.upkeep import Upkeep
from fleetgen.medallion.gold import UNKNOWN, Gold, gold_of
from fleetgen.medallion.lines import read_pieces
from fleetgen.medallion.rules import judge
from fleetgen.medallion.silver import RECORDS, Silver, silver_of
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

_FEW_LINES, _FEW_BYTES = 1000, 1 << 20
"""For so many lines it takes longer to look for a better plan, and to wake a second thread, than to do without."""


class EmbeddedEngine:
    """Carries published batches into the tables of one dataset."""

    lines_at_once = 1_000_000

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
        self._database = Database(self._budget, self._spill)
        self._tables = TableSet(layout, dataset_id, keep_seconds)
        self._upkeep = Upkeep(self._tables.all())
        self._companies = self._open_companies()

    def next_batch(self, stream: Stream) -> int:
        """Return the lowest batch number that some table of the stream lacks."""
        return self._tables.next_batch(stream)

    def carry(self, stream: Stream, entries: Sequence[BatchEntry]) -> Carried:
        """Carry consecutive batches from bronze into every table; those that all tables have are left out.

        Raises DamagedBatch, before anything of the pass is written, if bronze is not as it was published.
        """
        carried = Carried()
        for run in passes(self._tables.missing(stream, entries), self._budget.lines, self._budget.bytes):
            self._carry(stream, run, carried)
        return carried

    def maintain(self) -> bool:
        """Keep up one table if one is due; return whether one was. To be called between batches."""
        kept_up = self._upkeep.perform(self._connection)
        self._database.rest()
        if kept_up:
            give_memory_back()
        return kept_up

    def totals(self) -> Totals:
        """Return what has become of all lines in the tables."""
        return totals(self._layout)

    def close(self) -> None:
        """Let go of threads, memory and files."""
        self._companies.close()
        self._database.close()

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self._database.connection

    def _carry(self, stream: Stream, entries: Sequence[BatchEntry], carried: Carried) -> None:
        lines, size = sum(each.record_count for each in entries), sum(each.bytes for each in entries)
        few = lines <= _FEW_LINES and size <= _FEW_BYTES
        with self._database.working(stream, few, in_pieces=self._is_large(entries)):
            keep_batches(self._database, stream, entries)
            with self._judged(stream, entries) as files:
                self._beat()
                self._fill(stream, entries[-1].batch_number, files, carried)
                self._count(entries, carried)

    def _fill(self, stream: Stream, last: int, files: Mapping[str, list[DataFile]], carried: Carried) -> None:
        """Commit to each table what it lacks of the batches up to this one; some files are written already."""
        watch = StopWatch()
        self._write(silver_of(stream), stream, last, files, carried)
        if stream is Stream.COMPANIES:
            self._companies.welcome(self._database)
        watch.lap("silver")
        with self._companies.known(self._database) if stream is Stream.EVENTS else nullcontext():
            self._write(gold_of(stream), stream, last, {}, carried)
        watch.lap("gold")
        carried.silver_to_gold_seconds += watch.phases["gold"]

    @contextmanager
    def _judged(self, stream: Stream, entries: Sequence[BatchEntry]) -> Iterator[Mapping[str, list[DataFile]]]:
        """Leave the judged lines of batches in a relation `judged` for a while; yield files of tables that are written."""
        if self._is_large(entries):
            read = partial(read_pieces, self._layout, stream, entries[0], self._beat, self._budget.lines)
            tables = [self._tables[silver.form.name] for silver in silver_of(stream)]
            last, name = entries[0].batch_number, f"part-{stream}-{entries[0].batch_number:020d}"
            folders = {
                each.form.name: each.folder if each.last_batch(stream) < last else self._spill / each.form.name
                for each in tables
            }
            for folder in folders.values():
                folder.mkdir(parents=True, exist_ok=True)
            with judged_in_pieces(self._connection, stream, read, folders, name) as files:
                yield files
            return
        with shown_lines(self._database, self._layout, stream, entries, self._beat) as may_repeat:
            judge(self._database.run, stream, may_repeat)
        yield {}

    def _is_large(self, entries: Sequence[BatchEntry]) -> bool:
        """Whether this is one batch with more lines than are carried at once."""
        return sum(entry.record_count for entry in entries) > self._budget.lines

    def _write(
        self,
        declared: Sequence[Silver | Gold],
        stream: Stream,
        last: int,
        files: Mapping[str, list[DataFile]],
        carried: Carried,
    ) -> None:
        for each in declared:
            table = self._tables[each.form.name]
            if table.last_batch(stream) < last:
                carried.rows[table.form.name] += self._commit(each, table, stream, last, files.get(table.form.name))
                self._beat()

    def _commit(
        self, declared: Silver | Gold, table: Table, stream: Stream, last: int, files: list[DataFile] | None
    ) -> int:
        """Commit the rows that a table lacks; return their number."""
        after = table.last_batch(stream)
        if not (isinstance(declared, Gold) and declared.kept):
            files = files or self._files(declared.sql, after, table)
            table.append(files, stream, last)
        else:
            days = days_of_deliveries(self._database, after) if table.form.partition_by else None
            self._database.take("own", table.rows(days))
            files = self._files(declared.sql, after, table)
            table.replace(files, stream, last, days)
        return sum(file.rows for file in files)

    def _files(self, sql: str, after: int, table: Table) -> list[DataFile]:
        write = write_few_rows if self._database.suits_few else write_rows
        return write(self._database.run, sql, {"after": after}, table.form, table.folder, table.next_name)

    def _open_companies(self) -> Companies:
        silver, unknown = self._tables[RECORDS[Stream.COMPANIES].form.name], self._tables[UNKNOWN.form.name]
        return Companies(self._layout.company_index, silver, unknown, self._connection, self._beat)

    def _count(self, entries: Sequence[BatchEntry], carried: Carried) -> None:
        carried.batches += len(entries)
        for rule, count in self._database.run("SELECT rule, count(*) FROM judged GROUP BY rule").fetchall():
            carried.count(rule, count)
