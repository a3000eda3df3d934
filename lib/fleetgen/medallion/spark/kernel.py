"""Owns what an executor does: it reads whole batches, judges them as the embedded engine does, and yields all tables' rows.

It knows nothing of Spark. Kept tables come as the sums of what it has read; adding them up is left to `writing`.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.order import passes
from fleetgen.medallion.embedded.batches import keep_batches, shown_lines
from fleetgen.medallion.embedded.budget import Budget, carrying
from fleetgen.medallion.embedded.database import Database
from fleetgen.medallion.embedded.files import relation
from fleetgen.medallion.embedded.pieces import judged_in_pieces
from fleetgen.medallion.gold import Gold, gold_of
from fleetgen.medallion.lines import DamagedBatch, read_pieces
from fleetgen.medallion.rules import judge
from fleetgen.medallion.silver import Silver, silver_of
from fleetgen.medallion.spark.rows import DAMAGED, JUDGED, spread
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

_ROWS_AT_ONCE = 1 << 14
_JUDGED_SQL = "SELECT rule, count(*) AS lines FROM judged GROUP BY rule"


@dataclass(frozen=True)
class Work:
    """What executors are given."""

    layout: Layout
    stream: Stream
    runs: tuple[Sequence[BatchEntry], ...]
    """Consecutive batches, a run for each partition."""
    after: Mapping[str, int]
    """By table, the last batch that it has."""
    memory: int | None = None
    """Bytes for the rules in each of them; None: as the embedded engine takes."""


def rows_of_runs(work: Work, places: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield, in the common form, the rows that the tables lack of the runs whose places in ``work.runs`` are given."""
    for batch in places:
        for (place,) in zip(batch.column(0).to_pylist(), strict=True):
            yield from rows_of_run(work, work.runs[place])


def rows_of_run(work: Work, entries: Sequence[BatchEntry]) -> Iterator[pa.RecordBatch]:
    """Yield what the tables lack of consecutive batches; a damaged one is told of in a row of its own."""
    budget, spill = carrying(work.memory), Path(tempfile.mkdtemp(prefix="fleetgen-rules-"))
    database = Database(budget, spill)
    try:
        for run in passes(entries, budget.lines, budget.bytes):
            is_large = sum(entry.record_count for entry in run) > budget.lines
            with database.working(work.stream, few=False, in_pieces=is_large):
                keep_batches(database, work.stream, run)
                with _judged(database, work, run, budget, spill):
                    yield from _rows(database.connection, work, run)
    except DamagedBatch as fault:
        yield spread(DAMAGED, pa.record_batch({"raw": [str(fault)], "batch_number": [fault.batch_number]}))
    finally:
        database.close()
        shutil.rmtree(spill, ignore_errors=True)


@contextmanager
def _judged(database: Database, work: Work, run: Sequence[BatchEntry], budget: Budget, spill: Path) -> Iterator[None]:
    """Leave the judged lines of batches in a relation `judged` for a while."""
    if sum(entry.record_count for entry in run) > budget.lines:
        read = partial(read_pieces, work.layout, work.stream, run[0], _go_on, budget.lines)
        folders = {silver.form.name: spill / silver.form.name for silver in silver_of(work.stream)}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        with judged_in_pieces(database.connection, work.stream, read, folders, "part"):
            yield
        return
    with shown_lines(database, work.layout, work.stream, run, _go_on) as may_repeat:
        judge(database.run, work.stream, may_repeat)
    yield


def _go_on() -> None:
    """An executor's heartbeat is Spark's."""


def _rows(connection: duckdb.DuckDBPyConnection, work: Work, run: Sequence[BatchEntry]) -> Iterator[pa.RecordBatch]:
    last = max(entry.batch_number for entry in run)
    declarations: tuple[Silver | Gold, ...] = (*silver_of(work.stream), *gold_of(work.stream))
    for declared in declarations:
        name = declared.form.name
        if work.after[name] < last:
            yield from _rows_of_table(connection, declared, work.after[name])
    yield from _found(connection, JUDGED, _JUDGED_SQL, {})


def _rows_of_table(
    connection: duckdb.DuckDBPyConnection, declared: Silver | Gold, after: int
) -> Iterator[pa.RecordBatch]:
    if isinstance(declared, Gold) and declared.kept:
        connection.execute(f"CREATE OR REPLACE TEMP VIEW own AS {relation(declared.form, ())}")
    yield from _found(connection, declared.form.name, declared.sql, {"after": after})


def _found(
    connection: duckdb.DuckDBPyConnection, table: str, sql: str, values: Mapping[str, int]
) -> Iterator[pa.RecordBatch]:
    for rows in connection.sql(sql, params=values).to_arrow_reader(_ROWS_AT_ONCE):
        yield spread(table, rows)
